"""Bounds: over each a clear answer, and what was accepted goes on."""

import asyncio

import pytest

from denizen.core.errors import Overloaded
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link


async def test_calls_in_flight_of_a_connection(world: Open) -> None:
    async with world(limits={"calls_per_connection_max": 3}) as system:
        latch, one = Latch(system), link(system, "book", "a")
        other = link(system, "book", "a")
        await one.call("read")
        held = [one.send("hold_items", item, "door") for item in range(3)]
        refused = one.send("read")
        assert (await one.answer(refused))["c"] == "overloaded"
        assert (await other.call("read"))["items"] == []
        await latch.open("door")
        assert [await one.answer(call) for call in held] == [None] * 3
        assert len((await one.call("read"))["items"]) == 3


async def test_calls_in_flight_of_an_actor(world: Open) -> None:
    async with world(limits={"calls_per_actor_max": 5}) as system:
        book = system.get("book", "a")
        await book.read()
        system.store.hold()
        held = [asyncio.ensure_future(book.add(item)) for item in range(5)]
        await system.store.until_held()
        with pytest.raises(Overloaded, match="too many calls"):
            await book.read()
        system.store.release()
        assert await asyncio.gather(*held) == [1, 2, 3, 4, 5]
        assert len((await book.read())["items"]) == 5


async def test_a_full_actor_still_learns_who_left(world: Open) -> None:
    async with world(limits={"calls_per_actor_max": 2}) as system:
        room = system.get("room", "a")
        ann = link(system, "room", "a", name="ann")
        await ann.call("names")
        system.store.hold()
        held = [asyncio.ensure_future(room.note("x")) for _ in range(2)]
        await system.store.until_held()
        ann.peer.lose()
        with pytest.raises(Overloaded):
            await room.names()
        system.store.release()
        await asyncio.gather(*held)
        while await room.names():
            await asyncio.sleep(0)


async def test_a_full_actor_still_learns_who_came(world: Open) -> None:
    async with world(limits={"calls_per_actor_max": 1}) as system:
        counter = system.get("counter", "a")
        await counter.read()
        system.store.hold()
        held = asyncio.ensure_future(counter.increment())
        await system.store.until_held()
        one = link(system, "counter", "a")
        with pytest.raises(Overloaded):
            await counter.read()
        system.store.release()
        await held
        assert await one.call("mine") is not None


async def test_connections_of_an_actor(world: Open) -> None:
    async with world(limits={"connections_per_actor_max": 2}) as system:
        first, second = link(system, "room", "a", name="x"), link(system, "room", "a", name="y")
        await first.call("names")
        await second.call("names")
        code, frames = await link(system, "room", "a", name="z").end()
        assert (code, frames[0][1]["c"]) == (1008, "too_many_connections")
        first.peer.leave()
        while await second.call("names") != ["y"]:
            await asyncio.sleep(0)
        assert await link(system, "room", "a", name="z").call("names") == ["y", "z"]


async def test_subscriptions_of_a_connection(world: Open) -> None:
    async with world(limits={"subscriptions_max": 2}) as system:
        one = link(system, "counter", "a")
        one.subscribe("a", "b", "changed")
        assert (await one.next())[1]["c"] == "overloaded"
        assert await one.call("increment") == 1
        assert one.events == []


async def test_frames_before_a_connection_is_let_in(world: Open) -> None:
    async with world(limits={"calls_per_connection_max": 4}) as system:
        latch, one = Latch(system), link(system, "room", "a", name="ann", during="door")
        await latch.arrived("door")
        for _ in range(5):
            one.send("names")
        code, frames = await one.end()
        assert (code, frames[-1][1]["c"]) == (1008, "overloaded")
        await latch.open("door")
        while await system.get("room", "a").names():
            await asyncio.sleep(0)


async def test_a_reader_that_does_not_read_is_closed_with_1013(here: Open) -> None:
    async with here(limits={"outgoing_bytes_max": 100_000}) as system:
        one = link(system, "broken", "a")
        for _ in range(3):
            one.send("echo", "x" * 60_000)
        code, frames = await one.end()
        assert code == 1013
        assert len(frames) == 1
