"""What only the memory driver does: seeded faults, unknown outcomes, power cuts."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from denizen.core import entropy
from denizen.core.errors import (
    CommitOutcomeUnknown,
    StoreConflict,
    StoreError,
    StoreUnavailable,
)
from denizen.store import Batch, Guard, Outcome, Transaction
from denizen.store.memory import Faults, MemoryStore
from tests.store.drivers import END, everything, get, pairs, put


def store_with(faults: Faults, seed: int = 1) -> MemoryStore:
    return MemoryStore(faults, entropy.SeededSource(seed))


async def test_transact_applies_once_whatever_is_unknown() -> None:
    """Outcomes are lost, applied or applied late; each increment still counts exactly once."""
    store = store_with(Faults(unknown=0.4, conflict=0.1, flush_s=(0.0, 0.002)))
    unknown = Counter[str]()

    async def increment(mine: bytes, runs: list[int], transaction: Transaction) -> bytes:
        runs[0] += 1
        value = b"%d" % (int(await transaction.get(b"n") or b"0") + 1)
        transaction.set(b"n", value)
        transaction.set(mine, value)
        return value

    async def worker(number: int) -> None:
        for turn in range(25):
            mine = b"%d/%d" % (number, turn)
            runs = [0]
            result = await store.transact(partial(increment, mine, runs), deadline_s=60)
            unknown["again" if runs[0] > 1 else "once"] += 1
            # The result is that of the attempt which was committed.
            assert await get(store, mine) == result

    with entropy.use(entropy.SeededSource(5)):
        await asyncio.gather(*(worker(number) for number in range(4)))
    assert await get(store, b"n") == b"100"
    assert unknown["again"] > 20
    await store.close()


async def test_a_raise_after_an_unknown_attempt_means_that_nothing_is_written() -> None:
    """The first attempt may land late; the raise of the second has to shut it out, or find it."""
    ended = Counter[str]()
    for seed in range(60):
        store = store_with(Faults(unknown=0.6, flush_s=(0.0, 0.001)), seed)
        runs = 0

        async def raise_at_second(transaction: Transaction) -> None:
            nonlocal runs
            runs += 1
            transaction.set(b"a", b"1")
            if runs > 1:
                raise LookupError("second thoughts")

        with entropy.use(entropy.SeededSource(seed)):
            try:
                await store.transact(raise_at_second, deadline_s=60)
                written = b"1"
            except LookupError:
                written = None
        store.faults.unknown = 0.0
        await put(store, (b"later", b"1"))
        assert await get(store, b"a") == written
        ended[f"{'raised' if written is None else 'written'} after {min(runs, 2)}"] += 1
        await store.close()
    assert min(ended["raised after 2"], ended["written after 1"], ended["written after 2"]) > 0, (
        ended
    )


async def test_markers_are_cleared_and_old_ones_swept() -> None:
    store = store_with(Faults())

    async def write(transaction: Transaction) -> None:
        transaction.set(b"a", b"1")

    for _ in range(200):
        await store.transact(write)
    reader = await store.snapshot(0)
    markers, _ = await reader.get_chunk(END, END + END, 1_000, reverse=False)
    assert len(markers) <= 2
    await store.close()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(unavailable=1.0), StoreUnavailable),
        (Faults(unknown=1.0), CommitOutcomeUnknown),
        (Faults(conflict=1.0), StoreConflict),
    ],
)
async def test_a_certain_fault_is_its_error(faults: Faults, error: type[StoreError]) -> None:
    store = store_with(faults)
    with pytest.raises(error):
        await put(store, (b"a", b"1"))
    if error is not StoreConflict:
        with pytest.raises(error):
            await store.apply([Batch((), ((b"a", b"1"),))])
    await store.close()


async def test_batches_of_unknown_outcome_are_told_apart_by_sending_them_again() -> None:
    store = store_with(Faults(unknown=0.5, flush_s=(0.0, 0.001)))
    outcomes = Counter[Outcome]()
    head: bytes | None = None
    for turn in range(200):
        new = b"%d" % turn
        batch = Batch((Guard(b"head", head),), ((b"head", new),), marker=(b"head", new))
        while True:
            try:
                (outcome,) = await store.apply([batch])
            except CommitOutcomeUnknown:
                continue
            break
        outcomes[outcome] += 1
        head = new
    assert outcomes[Outcome.REFUSED] == 0
    assert outcomes[Outcome.ALREADY] > 10
    assert outcomes[Outcome.APPLIED] > 10
    await store.close()


async def test_a_power_cut_keeps_what_was_acknowledged() -> None:
    """And takes or keeps what was under way; the same holds 50 times over."""
    fates = Counter[bool]()
    for seed in range(50):
        store = store_with(Faults(flush_s=(0.001, 0.001)), seed)
        await put(store, (b"a", b"1"))
        under_way = asyncio.ensure_future(put(store, (b"b", b"2")))
        await asyncio.sleep(0)
        open_before = store.transaction()
        await open_before.get(b"a")
        store.power_cut()
        with pytest.raises(CommitOutcomeUnknown):
            await under_way
        with pytest.raises(StoreUnavailable):
            await open_before.get(b"a")
        found = await everything(store)
        assert found.pop(b"a") == b"1"
        assert found in ({}, {b"b": b"2"})
        fates[bool(found)] += 1
        await put(store, (b"c", b"3"))
        assert await get(store, b"c") == b"3"
        await store.close()
    assert min(fates.values()) > 5


async def test_without_syncing_a_power_cut_loses_what_was_acknowledged() -> None:
    store = store_with(Faults(no_sync=True, flush_s=(60.0, 60.0)))
    await put(store, (b"a", b"1"))
    assert await get(store, b"a") == b"1"
    store.power_cut()
    assert await everything(store) == {}
    await store.close()


async def test_the_same_seed_gives_the_same_history() -> None:
    async def run(seed: int) -> list[str]:
        store = store_with(Faults(conflict=0.2, unknown=0.2, unavailable=0.1), seed)
        told = []
        for turn in range(100):
            try:
                await put(store, (b"%d" % turn, b""))
                told.append("done")
            except StoreError as error:
                told.append(error.code)
        transaction = store.transaction()
        store.faults.unavailable = 0.0
        told.append(str(await pairs(transaction)))
        transaction.cancel()
        await store.close()
        return told

    assert await run(7) == await run(7)
    assert await run(7) != await run(8)
    assert set(await run(7)) >= {
        "done",
        "store_conflict",
        "store_unavailable",
        "commit_outcome_unknown",
    }
