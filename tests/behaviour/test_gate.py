"""Promise 2: nothing leaves before what came before it is durable."""

import asyncio
import json
from typing import Any

from denizen.testing.system import System
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, Link, link


async def quiet(system: System, *links: Link) -> None:
    """Give whatever could leak many chances to: calls of another actor, there and back."""
    for _ in range(3):
        await system.get("stateless", "idle").hello()
    assert [list(link.peer.frames) for link in links] == [[] for _ in links]


async def held_on(system: System, action: str, *args: Any) -> tuple[Link, Link, int]:
    """A caller and a subscriber, both awake, and a call whose commit is held back."""
    caller, other = link(system, "book", "a"), link(system, "book", "a")
    other.subscribe("whole", "half", "items", "changed")
    await caller.call("read")
    await other.call("read")
    await system.get("stateless", "idle").hello()
    system.store.hold()
    return caller, other, caller.send(action, *args)


async def test_neither_reply_nor_event_leaves_before_the_commit(world: Open) -> None:
    async with world() as system:
        caller, other, call = await held_on(system, "change_at_once", 5)
        await system.store.until_held()
        await quiet(system, caller, other)
        system.store.release()
        assert await caller.answer(call) == 5
        assert await other.next() == ("ev", {"n": "whole", "a": [5]})


async def test_a_read_waits_for_the_change_that_it_saw(world: Open) -> None:
    async with world() as system:
        caller, other, call = await held_on(system, "add", 5)
        await system.store.until_held()
        read = other.send("read")
        await quiet(system, caller, other)
        system.store.release()
        assert (await other.answer(read))["items"] == [5]
        assert await caller.answer(call) == 1


async def test_a_failure_waits_as_well(world: Open) -> None:
    """That it failed tells of what it did before."""
    async with world() as system:
        broken = link(system, "broken", "a")
        await broken.call("read")
        system.store.hold()
        bug = broken.send("bug")
        await system.store.until_held()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not broken.peer.frames
        system.store.release()
        assert (await broken.answer(bug))["c"] == "internal_error"


async def test_a_call_to_another_actor_waits_for_the_caller_s_changes(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.read()
        await latch.open("other")
        system.store.hold()
        call = asyncio.ensure_future(book.add_both_sides(1, "door"))
        await system.store.until_held()
        arrival = asyncio.ensure_future(latch.arrived("door"))
        for _ in range(3):
            await latch.open("other")
        assert not arrival.done()
        system.store.release()
        await arrival
        await latch.open("door")
        await call


async def test_a_new_actor_answers_once_its_creation_is_durable(world: Open) -> None:
    async with world() as system:
        await system.get("stateless", "idle").hello()
        system.store.hold()
        call = asyncio.ensure_future(system.get("stateless", "new").hello())
        await system.store.until_held()
        await quiet(system)
        assert not call.done()
        system.store.release()
        assert await call == "hello"


async def test_a_reply_is_what_was_returned_not_what_became_of_it(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        await book.add(1)
        assert await book.reply_alias() == [1]
        while (await book.read())["items"] != [1, 99]:
            await asyncio.sleep(0)


async def test_an_event_is_what_was_emitted_not_what_became_of_it(world: Open) -> None:
    async with world() as system:
        one = link(system, "book", "a")
        one.subscribe("items")
        await one.call("emit_alias")
        assert one.events == [["items", []], ["own", {}]]
        read = await one.call("read")
        assert (read["items"], read["table"]) == ([100], {"later": []})


async def test_durable_returns_once_it_is(world: Open) -> None:
    async with world() as system:
        assert await system.get("nervous", "durable").read() == 0


async def test_an_exclusive_action_may_ask_for_durability_without_waiting_for_itself(
    world: Open,
) -> None:
    async with world() as system:
        book = system.get("book", "a")
        assert await book.durable_alone() == "durable"
        assert (await book.read())["count"] == 1


async def test_the_commit_of_one_actor_does_not_wait_for_the_turns_of_another(world: Open) -> None:
    """Whoever began a flush has no part in its end."""
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.read()
        first = link(system, "book", "a")
        first.send("add_later", 1)
        alone = first.send("change_all_alone", 2, "inside")
        await latch.arrived("inside")
        # The flush of `add_later` ended while the exclusive action runs: its reply is out.
        assert await asyncio.wait_for(first.answer(0), 5) == 1
        assert await system.get("counter", "a").increment() == 1
        await latch.open("inside")
        await first.answer(alone)


async def test_events_of_a_rolled_back_turn_never_leave(world: Open) -> None:
    async with world() as system:
        one = link(system, "book", "a")
        one.subscribe("whole", "half")
        failed = await one.call("change_all_alone", 3, "", True)
        assert failed["c"] == "undone"
        await one.call("read")
        assert one.events == []
        assert json.dumps(one.passed) == "[]"
