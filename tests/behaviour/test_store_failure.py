"""The store fails: calls fail with a clear error, nothing acknowledged is lost, service comes back."""

import asyncio

import pytest

from denizen.core.errors import CommitOutcomeUnknown, StoreError, StoreUnavailable
from denizen.store.memory import MemoryStore
from denizen.store.memory.faults import Faults
from tests.behaviour.conftest import Open
from tests.behaviour.link import link


async def test_a_store_that_is_away(world: Open) -> None:
    faults = Faults()
    async with world(store=MemoryStore(faults)) as system:
        counter, one = system.get("counter", "a"), link(system, "counter", "a")
        one.subscribe("changed")
        assert await one.call("increment") == 1
        faults.unavailable = 1.0
        with pytest.raises(StoreUnavailable):
            await counter.increment()
        code, frames = await one.end()
        assert code == 1011
        # The event of a change that isn't durable never left.
        assert frames == []
        with pytest.raises(StoreUnavailable):
            await counter.read()
        with pytest.raises(StoreUnavailable):
            await system.get("counter", "new").increment()
        faults.unavailable = 0.0
        assert await counter.read() == 1
        assert await counter.increment() == 2
        assert await system.get("counter", "new").increment() == 1


async def test_all_that_waits_is_told(world: Open) -> None:
    faults = Faults()
    async with world(store=MemoryStore(faults)) as system:
        counter = system.get("counter", "a")
        await counter.increment()
        system.store.hold()
        calls = [asyncio.ensure_future(counter.increment()) for _ in range(10)]
        await system.store.until_held()
        reader = asyncio.ensure_future(counter.read())
        faults.unavailable = 1.0
        system.store.release()
        told = await asyncio.gather(*calls, reader, return_exceptions=True)
        assert all(isinstance(one, StoreUnavailable) for one in told)
        faults.unavailable = 0.0
        assert await counter.read() == 1


async def test_acknowledged_is_kept_whatever_the_store_does(world: Open) -> None:
    faults = Faults(unknown=0.3, unavailable=0.1, conflict=0.1)
    async with world(store=MemoryStore(faults)) as system:
        acknowledged = unknown = failed = 0

        async def client() -> None:
            nonlocal acknowledged, unknown, failed
            # Until the danger has come: in every kind, and many times.
            while min(acknowledged, unknown, failed) < 10:
                try:
                    await system.get("counter", "a").increment()
                    acknowledged += 1
                except StoreUnavailable:
                    failed += 1
                except StoreError:
                    unknown += 1

        await asyncio.gather(*(client() for _ in range(8)))
        faults.unknown = faults.unavailable = faults.conflict = 0.0
        await asyncio.sleep(0.05)
        count = await system.get("counter", "a").read()
        assert acknowledged <= count <= acknowledged + unknown


async def test_an_unknown_outcome_is_found_out(world: Open) -> None:
    faults = Faults()
    async with world(store=MemoryStore(faults)) as system:
        counter = system.get("counter", "a")
        await counter.increment()
        faults.unknown = 0.6
        done = 1
        for _ in range(20):
            try:
                assert await counter.increment() == done + 1
                done += 1
            except CommitOutcomeUnknown:
                faults.unknown = 0.0
                await asyncio.sleep(0.01)
                found = await counter.read()
                assert found in (done, done + 1)
                done = found
                faults.unknown = 0.6
        faults.unknown = 0.0
        assert await counter.read() == done


async def test_one_actor_s_refused_commit_harms_no_other(world: Open) -> None:
    """A second host takes the actor over: the first one's instance stops, others go on."""
    async with world() as system:
        counter, other = system.get("counter", "a"), system.get("counter", "b")
        await counter.increment()
        await other.increment()
        transaction = system.store.transaction()
        heads = [key async for key, _ in transaction.get_range(b"", b"\xff") if b"head" in key]
        transaction.cancel()

        async def take_over(transaction):  # type: ignore[no-untyped-def]
            transaction.set(heads[0], b"\x95\x63\x63\x01\xc2\x90")

        await system.store.transact(take_over)
        results = await asyncio.gather(
            counter.increment(), other.increment(), return_exceptions=True
        )
        refused = [one for one in results if isinstance(one, Exception)]
        assert [one.code for one in refused] == ["not_here"]  # type: ignore[attr-defined]
        assert 2 in results
