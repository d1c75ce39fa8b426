"""Promise 4: calls of a connection start in the order sent, events arrive as they were emitted."""

import asyncio

from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link


async def test_plain_and_async_actions_start_in_the_order_sent(world: Open) -> None:
    async with world() as system:
        one = link(system, "book", "a")
        await one.call("read")
        kinds = ["add_later", "add", "add_later", "add", "add", "add_later"] * 5
        for at, kind in enumerate(kinds):
            one.send(kind, at)
        assert (await one.call("read"))["items"] == list(range(30))


async def test_exclusive_actions_take_their_place_in_the_order(world: Open) -> None:
    async with world() as system:
        one = link(system, "book", "a")
        await one.call("read")
        kinds = ["add_later", "change_at_once", "add", "change_at_once"] * 5
        for at, kind in enumerate(kinds):
            one.send(kind, at)
        assert (await one.call("read"))["items"] == list(range(20))


async def test_what_waited_for_an_exclusive_action_starts_before_what_comes_as_it_ends(
    here: Open,
) -> None:
    async with here() as system:
        latch, one = Latch(system), link(system, "book", "a")
        await one.call("read")
        one.send("change_all_alone", 1, "door")
        await latch.arrived("door")
        waiting = [one.send("add_later", item) for item in (2, 3)]
        await asyncio.sleep(0.01)
        opening = asyncio.ensure_future(latch.open("door"))
        late = 10
        # A frame at each turn of the loop: one comes between the end and the next start.
        while len(one.peer.frames) < len(waiting):
            one.send("add_later", late)
            late += 1
            await asyncio.sleep(0)
        await opening
        items = (await one.call("read"))["items"]
        assert items == [1, 1, 2, 3, *range(10, late)]


async def test_first_calls_of_a_new_actor_start_in_order_behind_its_start(world: Open) -> None:
    async with world() as system:
        one = link(system, "room", "a")
        for at in range(10):
            one.send("note", str(at))
        lines = await one.call("log_lines")
        assert lines == ["create None", "start 1", "connect ?", *map(str, range(10))]


async def test_on_connect_has_ended_before_a_frame_is_handled(world: Open) -> None:
    async with world() as system:
        latch, one = Latch(system), link(system, "room", "a", name="ann", during="door")
        one.send("note", "first")
        await latch.arrived("door")
        assert await system.get("room", "a").log_lines() == ["create None", "start 1"]
        await latch.open("door")
        assert (await one.call("log_lines"))[2:] == ["connect ann", "first"]


async def test_a_subscription_sent_first_is_there_for_the_first_event(world: Open) -> None:
    async with world() as system:
        one = link(system, "counter", "a")
        one.subscribe("changed")
        await one.call("increment")
        assert one.events == [["changed", 1]]


async def test_events_reach_every_subscriber_in_the_order_emitted(world: Open) -> None:
    async with world() as system:
        links = [link(system, "counter", "a") for _ in range(3)]
        for one in links:
            one.subscribe("changed")
            await one.call("read")
        for at in range(10):
            links[at % 3].send("increment")
        for one in links:
            for _ in range(13):
                if len(one.events) == 10:
                    break
                one.passed.append(await one.next())
            assert one.events == [["changed", count] for count in range(1, 11)]


async def test_an_event_leaves_before_the_reply_that_follows_it(world: Open) -> None:
    async with world() as system:
        one = link(system, "counter", "a")
        one.subscribe("changed")
        call = one.send("increment")
        assert [(await one.next())[0], (await one.next())[0]] == ["ev", "ro"]
        assert call == 0
