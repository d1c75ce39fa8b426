"""Connections: the hooks' order, refusals, who is there, and what is sent to whom."""

import asyncio

import pytest

from denizen.testing.system import System
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, Link, link


async def until_names(system: System, *names: str) -> None:
    room = system.get("room", "a")
    while await room.names() != list(names):
        await asyncio.sleep(0)


async def test_hooks_run_in_order_and_write_state(world: Open) -> None:
    async with world() as system:
        ann = link(system, "room", "a", name="ann")
        assert await ann.call("names") == ["ann"]
        assert ann.events == [["welcome", "ann"]]
        ann.peer.leave()
        await until_names(system)
        await system.restart()
        lines = await system.get("room", "a").log_lines()
        assert lines == ["create None", "start 1", "connect ann", "disconnect ann", "start 2"]


async def test_a_refusal_has_its_code_and_metadata_then_1008(world: Open) -> None:
    async with world() as system:
        one = link(system, "room", "a", refuse=True)
        one.send("names")
        error = {"c": "not_you", "m": "not you", "md": {"why": "name"}}
        assert await one.end() == (1008, [("er", error)])
        assert await system.get("room", "a").names() == []
        assert await system.get("room", "a").log_lines() == ["create None", "start 1"]


@pytest.mark.parametrize("where", ["bug", "late_bug"])
async def test_a_hook_that_raises_refuses_without_saying_why(world: Open, where: str) -> None:
    async with world() as system:
        one = link(system, "room", "a", **{where: True})
        code, frames = await one.end()
        assert code == 1008
        kind, error = frames[-1]
        assert (kind, error["c"]) == ("er", "internal_error")
        assert "secret" not in str(frames)
        await until_names(system)


@pytest.mark.parametrize("where", ["before", "during"])
async def test_a_connection_lost_while_its_hook_runs_leaves_no_ghost(
    world: Open, where: str
) -> None:
    async with world() as system:
        latch, room = Latch(system), system.get("room", "a")
        ann = link(system, "room", "a", name="ann", **{where: "door"})
        await latch.arrived("door")
        ann.peer.lose()
        await room.names()
        await latch.open("door")
        while "disconnect ann" not in await room.log_lines():
            await asyncio.sleep(0)
        lines = (await room.log_lines())[2:]
        assert lines == ["connect ann", "disconnect ann"]
        assert await room.names() == []


async def test_a_connection_that_hangs_in_its_hook_stops_nobody(world: Open) -> None:
    async with world() as system:
        latch = Latch(system)
        link(system, "room", "a", name="slow", before="door")
        await latch.arrived("door")
        ann = link(system, "room", "a", name="ann")
        assert await ann.call("names") == ["ann"]
        await latch.open("door")
        await until_names(system, "ann", "slow")


async def test_hooks_wait_for_an_exclusive_action_and_run_then(world: Open) -> None:
    async with world() as system:
        latch, room = Latch(system), system.get("room", "a")
        ann = link(system, "room", "a", name="ann")
        await ann.call("names")
        alone = asyncio.ensure_future(room.note_alone("alone", "door"))
        await latch.arrived("door")
        ann.peer.lose()
        bob = link(system, "room", "a", name="bob")
        names = bob.send("names")
        await latch.open("door")
        await alone
        assert await bob.answer(names) == ["bob"]
        lines = (await room.log_lines())[3:]
        assert lines == ["alone", "disconnect ann", "connect bob"]


async def test_a_hook_that_takes_too_long_refuses(world: Open) -> None:
    async with world(limits={"action_timeout_s": 0.05}) as system:
        one = link(system, "room", "a", name="ann", before="never")
        code, frames = await one.end()
        assert (code, frames[0][1]["c"]) == (1008, "rpc_timed_out")
        await until_names(system)


async def test_send_reaches_one_connection_subscribed_or_not(world: Open) -> None:
    async with world() as system:
        ann, bob = (link(system, "room", "a", name=name) for name in ("ann", "bob"))
        await ann.call("names")
        await bob.call("tell", "ann", "hello", 1, "x")
        await ann.call("names")
        assert ann.events == [["welcome", "ann"], ["hello", 1, "x"]]
        assert bob.events == [["welcome", "bob"]]


async def test_broadcast_reaches_subscribers_until_they_unsubscribe(world: Open) -> None:
    async with world() as system:
        one, other = link(system, "counter", "a"), link(system, "counter", "a")
        one.subscribe("changed", "changed", "unknown")
        await one.call("increment")
        one.say({"sr": {"e": "changed", "s": False}})
        one.say({"sr": {"e": "never", "s": False}})
        await one.call("increment")
        await other.call("increment")
        assert one.events == [["changed", 1]]
        assert other.events == []


async def test_disconnect_says_goodbye_with_1000(world: Open) -> None:
    async with world() as system:
        ann, bob = (link(system, "room", "a", name=name) for name in ("ann", "bob"))
        await ann.call("names")
        bob.subscribe("left")
        await bob.call("kick", "ann")
        assert (await ann.end())[0] == 1000
        assert await bob.next() == ("ev", {"n": "left", "a": ["ann"]})
        await until_names(system, "bob")


async def test_who_disconnects_its_own_caller_answers_it_first(world: Open) -> None:
    async with world() as system:
        ann = link(system, "room", "a", name="ann")
        assert await ann.call("kick", "ann") is None
        assert (await ann.end())[0] == 1000


async def test_params_may_be_any_json(world: Open) -> None:
    async with world() as system:
        for text in ("null", "5", '"x"', "[1]", '{"a":{}}'):
            one = Link(system.connect("counter", "a", params=text))
            assert await one.call("increment") > 0


async def test_a_stopped_server_says_that_it_moves(world: Open) -> None:
    async with world() as system:
        one = link(system, "counter", "a")
        await one.call("increment")
        system.store.hold()
        lost = one.send("increment")
        await system.store.until_held()
        stopping = asyncio.ensure_future(system.restart())
        code, frames = await one.end()
        system.store.release()
        await stopping
        assert code == 1012
        assert [(kind, frame["i"], frame["c"]) for kind, frame in frames] == [
            ("re", lost, "actor_stopped")
        ]
