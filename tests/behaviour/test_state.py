"""Promise 9: state is plain. What a turn changed is stored; what can't be stored is refused."""

import asyncio
import logging

import msgspec
import pytest

from denizen.core.errors import CommitTooLarge, InternalError, StateTooLarge, StateUnstorable
from denizen.core.keys import unpack
from denizen.testing.system import System
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch


async def stored_fields(system: System) -> dict[str, bytes]:
    """The rows of all states, by field."""
    rows: dict[str, bytes] = {}
    transaction = system.store.transaction()
    async for key, value in transaction.get_range(b"", b"\xff"):
        parts = unpack(key)
        if "state" in parts:
            rows[str(parts[-1])] = value
    transaction.cancel()
    return rows


async def test_what_changed_is_there_after_a_restart(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        await book.add(1)
        await book.change_all_alone(2)
        before = await book.read()
        await system.restart()
        assert await book.read() == before
        assert before["items"] == [1, 2, 2]


async def test_a_value_that_cannot_be_stored_rolls_its_turn_back(
    here: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with here() as system:
        book = system.get("book", "a")
        await book.add(1)
        with (
            caplog.at_level(logging.ERROR, "denizen"),
            pytest.raises(StateUnstorable, match="its log says where") as caught,
        ):
            await book.store_strange("object")
        assert caught.value.metadata is None
        told = [record.fields["path"] for record in caplog.records]  # type: ignore[attr-defined]
        assert [path.partition(":")[0] for path in told] == ["state.table['bad'][1]['deep']"]
        assert (await book.read())["count"] == 0


@pytest.mark.parametrize("where", ["object", "type"])
async def test_other_fields_and_later_calls_are_fine_after_it(world: Open, where: str) -> None:
    """A value of the wrong type could be stored and never read again: it is refused as well."""
    async with world() as system:
        book = system.get("book", "a")
        await book.add(1)
        with pytest.raises(StateUnstorable):
            await book.store_strange(where)
        assert await book.add(2) == 2
        read = await book.read()
        assert (read["count"], read["items"], read["table"]) == (0, [1, 2], {})
        await system.restart()
        assert (await book.read())["items"] == [1, 2]


async def test_an_exclusive_one_is_rolled_back_whole(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        with pytest.raises(StateUnstorable):
            await book.store_strange_alone()
        read = await book.read()
        assert (read["count"], read["loose"]) == (0, None)


async def test_the_action_learns_of_it_at_its_await(world: Open) -> None:
    async with world() as system:
        assert await system.get("book", "a").store_strange_then_go_on("door") == "state_unstorable"


async def test_a_state_that_would_grow_too_large_is_refused(world: Open) -> None:
    async with world(limits={"state_bytes_max": 10_000}) as system:
        book = system.get("book", "a")
        assert await book.fill(9_000) == 9_000
        with pytest.raises(StateTooLarge, match="its limit is 10000"):
            await book.fill_and_count(11_000)
        read = await book.read()
        assert (len(read["text"]), read["count"]) == (9_000, 0)
        assert await book.fill(10) == 10
        assert await book.fill(9_000) == 9_000


async def test_a_turn_that_changes_more_than_a_commit_carries_is_refused(world: Open) -> None:
    async with world(limits={"commit_bytes_max": 10_000}) as system:
        book = system.get("book", "a")
        with pytest.raises(CommitTooLarge, match="a commit may carry 10000"):
            await book.fill(11_000)
        assert len((await book.read())["text"]) == 0
        assert await book.fill(9_000) == 9_000


async def test_large_fields_are_stored_and_shrink_again(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        for size in (200_000, 350_000, 89_995, 250_000, 5):
            await book.fill(size)
            await system.restart()
            assert len((await book.read())["text"]) == size


async def test_stored_fields_that_the_code_does_not_know_are_kept(world: Open) -> None:
    async with world() as system:
        counter = system.get("counter", "a")
        await counter.increment()
        (key,) = [
            key
            async for key, _ in system.store.transaction().get_range(b"", b"\xff")
            if b"count" in key and b"counter" not in key
        ]

        async def add_field(transaction):  # type: ignore[no-untyped-def]
            transaction.set(key.replace(b"count", b"other"), msgspec.msgpack.encode("kept"))

        await system.store.transact(add_field)
        await system.restart()
        assert await counter.increment() == 2
        await system.restart()
        assert await counter.increment() == 3
        assert msgspec.msgpack.decode((await stored_fields(system))["other"]) == "kept"


async def test_only_what_changed_is_written(here: Open) -> None:
    async with here() as system:
        book = system.get("book", "a")
        await book.add(1)
        written: list[str] = []
        apply = system.store.inner.apply

        async def watched(batches):  # type: ignore[no-untyped-def]
            for batch in batches:
                written.extend(str(unpack(key)[-1]) for key, _ in batch.sets)
            return await apply(batches)

        system.store.inner.apply = watched  # type: ignore[method-assign]
        await book.add(2)
        assert written == ["head", "items"]
        written.clear()
        await book.read()
        assert written == []


async def test_on_state_change_runs_within_the_turn_that_changed(world: Open) -> None:
    async with world() as system:
        hooked = system.get("hooked", "a")
        await hooked.set(1)
        await hooked.read()
        await hooked.set(1)
        await hooked.set(13)
        count, seen = await hooked.read()
        assert (count, seen) == (14, 3)
        await system.restart()
        assert (await hooked.read())[0] == 14


@pytest.mark.parametrize("action", ["set", "set_alone"])
async def test_what_the_hook_spoils_is_rolled_back_with_the_turn(world: Open, action: str) -> None:
    async with world() as system:
        hooked = system.get("hooked", "a")
        await hooked.set(5)
        with pytest.raises(StateUnstorable):
            await hooked.call(action, 66)
        assert (await hooked.read())[0] == 5
        # What is remembered as stored is what is stored.
        await hooked.set(66 + 1)
        await system.restart()
        assert (await hooked.read())[0] == 67


async def test_a_hook_that_raises_does_not_fail_the_call(
    here: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with here() as system:
        assert await system.get("hooked", "a").set(77) == 77
        assert "secret of the hook" in caplog.text


async def test_a_state_without_defaults_must_be_assigned_on_creation(world: Open) -> None:
    async with world() as system:
        assert await system.get("bare", "good").read() == "made"
        await system.restart()
        assert await system.get("bare", "good").read() == "made"
        with pytest.raises(InternalError):
            await system.get("bare", "bad").read()


async def test_an_actor_without_state_says_so(world: Open) -> None:
    async with world() as system:
        stateless = system.get("stateless", "a")
        assert await stateless.hello() == "hello"
        with pytest.raises(InternalError):
            await stateless.state_of_none()


async def test_a_turn_committed_before_a_cancellation_stands(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        call = asyncio.ensure_future(book.call("add_both_sides", 1, "door", timeout_s=None))
        await latch.arrived("door")
        assert (await book.read())["items"] == [1]
        call.cancel()
        await latch.open("door")
        while (await book.read())["items"] != [1, -1]:
            await asyncio.sleep(0)
