"""Promise 7: turns. Actions interleave only at an await; a turn's changes are committed together."""

import asyncio

import pytest

from denizen.core.errors import UserError
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link


async def test_actions_interleave_at_an_await(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        first = asyncio.ensure_future(book.add_both_sides(1, "door"))
        await latch.arrived("door")
        await book.add(2)
        await latch.open("door")
        await first
        assert (await book.read())["items"] == [1, 2, -1]


async def test_a_parallel_action_that_raises_undoes_nothing(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await latch.open("door")
        with pytest.raises(UserError, match="after all"):
            await book.add_then_raise(1, "door")
        await system.restart()
        assert (await book.read())["items"] == [1, -1]


async def test_each_turn_is_committed_without_waiting_for_the_next(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        call = asyncio.ensure_future(book.add_both_sides(1, "door"))
        await latch.arrived("door")
        await system.restart()
        with pytest.raises(Exception, match="stopping"):
            await call
        assert (await book.read())["items"] == [1]


@pytest.mark.parametrize(
    "action",
    [
        "hold_items",
        "spawn_holding",
        "spawn_from_exclusive",
        "leave_child_holding",
        "leave_child_from_exclusive",
    ],
)
async def test_a_list_held_across_an_await_is_stored_when_it_changes(
    world: Open, action: str
) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.add(1)
        call = asyncio.ensure_future(book.call(action, 7, "door"))
        await latch.arrived("door")
        await latch.open("door")
        await call
        while (await book.read())["items"] != [1, 7]:
            await asyncio.sleep(0)
        await system.restart()
        assert (await book.read())["items"] == [1, 7]


async def test_a_loop_callback_is_a_turn_of_its_actor(world: Open) -> None:
    async with world() as system:
        book, counter = system.get("book", "a"), system.get("counter", "a")
        await counter.increment()
        calls = [book.change_in_callback(item) for item in range(20)]
        calls += [counter.increment() for _ in range(20)]
        await asyncio.gather(*calls)
        await system.restart()
        assert sorted((await book.read())["items"]) == list(range(20))
        assert await counter.read() == 21


async def test_caller_is_the_connection_of_this_call_across_an_await(world: Open) -> None:
    async with world() as system:
        latch = Latch(system)
        ann, bob = (link(system, "room", "a", name=name) for name in ("ann", "bob"))
        first, second = ann.send("who", "door"), bob.send("who", "door")
        await latch.arrived("door")
        assert await system.get("room", "a").who() == ["-", "-"]
        await latch.open("door")
        assert await ann.answer(first) == ["ann", "ann"]
        assert await bob.answer(second) == ["bob", "bob"]


async def test_caller_is_known_in_tasks_of_the_call(world: Open) -> None:
    async with world() as system:
        ann = link(system, "room", "a", name="ann")
        assert await ann.call("who_in_tasks") == ["ann", "ann"]


async def test_vars_live_as_long_as_the_actor_is_awake(world: Open) -> None:
    async with world() as system:
        actor = system.get("stateless", "a")
        await actor.set_var(3)
        assert await actor.get_var() == 3
        await system.restart()
        assert await actor.get_var() is None
