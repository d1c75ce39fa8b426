"""An actor's life: created, found, crashed and started again, destroyed."""

import asyncio
import contextlib

import pytest

from denizen.core.entropy import new_id
from denizen.core.errors import (
    ActorCrashed,
    ActorDestroyed,
    ActorNotFound,
    ActorTypeNotFound,
    CallCycle,
    DenizenError,
    InternalError,
    StateUnstorable,
    UserError,
)
from denizen.core.limits import DEFAULT
from denizen.core.principal import ANONYMOUS
from denizen.gateway.ports import TagQuery
from denizen.testing.system import System
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link


async def rows(system: System) -> int:
    return int((await system.store.stats())["keys"])


async def test_it_knows_who_it_is(world: Open) -> None:
    async with world() as system:
        told = await system.get("room", "a", "b/c,d").who_am_i()
        assert len(told.pop("id")) == 32
        assert told == {
            "type": "room",
            "key": ["a", "b/c,d"],
            "tags": {},
            "namespace": "default",
            "region": "local",
            "generation": 1,
        }


async def test_each_start_is_a_new_generation(world: Open) -> None:
    async with world() as system:
        room = system.get("room", "a")
        for generation in (1, 2, 3):
            assert (await room.who_am_i())["generation"] == generation
            await system.restart()


async def test_many_callers_of_a_new_address_meet_one_actor(world: Open) -> None:
    async with world() as system:
        ids = await asyncio.gather(*(system.get("room", "a").who_am_i() for _ in range(50)))
        assert len({told["id"] for told in ids}) == 1


async def test_id_and_address_lead_to_the_same_life(world: Open) -> None:
    async with world() as system:
        room = system.get("room", "a")
        actor_id = (await room.who_am_i())["id"]
        for _ in range(5):
            await system.restart()
            by_id = system.get_by_id("room", actor_id)
            told = await asyncio.gather(by_id.who_am_i(), room.who_am_i(), by_id.who_am_i())
            assert len({(one["id"], one["generation"]) for one in told}) == 1


async def test_namespaces_and_types_are_apart(world: Open) -> None:
    async with world() as system:
        await system.get("counter", "a").increment(5)
        other = system.actors("other").get("counter", "a")
        assert await other.increment() == 1
        told = await system.get("room", "a").who_am_i()
        with pytest.raises(ActorNotFound):
            await system.get_by_id("counter", told["id"]).read()
        with pytest.raises(ActorNotFound):
            await system.actors("other").get_by_id("room", told["id"]).who_am_i()


async def test_what_is_not_there_says_so(world: Open) -> None:
    async with world() as system:
        with pytest.raises(ActorTypeNotFound, match="there are: account, bare"):
            await system.get("nothing", "a").read()
        with pytest.raises(ActorNotFound):
            await system.get_by_id("room", new_id()).who_am_i()


# Creation.


async def test_an_explicit_type_is_not_created_by_a_call(world: Open) -> None:
    async with world() as system:
        with pytest.raises(ActorNotFound):
            await system.get("explicit", "a").increment()
        code, frames = await link(system, "explicit", "a").end()
        assert (code, frames[0][1]["c"]) == (1008, "actor_not_found")
        query = TagQuery("default", create_tags={"name": "explicit"})
        address = await system.host.resolve(query, ANONYMOUS)
        assert address.actor_id is not None
        assert await system.get_by_id("explicit", address.actor_id).increment() == 1


async def test_concurrent_get_or_create_by_tags_ends_at_one_actor(world: Open) -> None:
    async with world() as system:
        tags = {"name": "room", "who": "ann"}
        query = TagQuery("default", tags=tags, create_tags=tags)
        found = await asyncio.gather(*(system.host.resolve(query, ANONYMOUS) for _ in range(20)))
        (actor_id,) = {address.actor_id for address in found}
        assert actor_id is not None
        told = await system.get_by_id("room", actor_id).who_am_i()
        assert (told["tags"], told["key"], told["generation"]) == (tags, [], 1)
        made = TagQuery("default", create_tags=tags)
        assert (await system.host.resolve(made, ANONYMOUS)).actor_id != actor_id
        assert (await system.host.resolve(query, ANONYMOUS)).actor_id == actor_id


async def test_a_failed_start_is_told_and_tried_again(world: Open) -> None:
    async with world() as system:
        for _ in range(2):
            with pytest.raises(InternalError) as caught:
                await system.get("nervous", "raises").read()
            assert "secret" not in str(caught.value)
        with pytest.raises(UserError, match="not today"):
            await system.get("nervous", "refuses").read()
        with pytest.raises(StateUnstorable):
            await system.get("nervous", "strange").read()
        assert await rows(system) == 0
        code, frames = await link(system, "nervous", "raises").end()
        assert (code, frames[0][1]["c"]) in [(1008, "internal_error"), (1011, "internal_error")]


async def test_a_start_may_call_others(world: Open) -> None:
    async with world() as system:
        assert await system.get("nervous", "asks").read() == 1
        await system.restart()
        assert await system.get("nervous", "asks").read() == 2


async def test_a_start_that_waits_for_itself_is_refused(world: Open) -> None:
    async with world() as system:
        with pytest.raises(CallCycle):
            await system.get("nervous", "asks-itself").read()


async def test_a_start_may_spawn(world: Open) -> None:
    async with world() as system:
        nervous = system.get("nervous", "spawns")
        while await nervous.read() != 1:
            await asyncio.sleep(0)


# Crashes.


async def test_a_supervised_task_that_raises_takes_the_actor_down(world: Open) -> None:
    async with world() as system:
        one = link(system, "nervous", "x")
        await one.call("crash_later", True)
        assert (await one.end())[0] == 1011
        # What it changed before stands, and the next call starts it again.
        assert await system.get("nervous", "x").read() == 1


async def test_who_waits_at_a_crash_is_told(world: Open) -> None:
    async with world() as system:
        nervous = system.get("nervous", "x")
        await nervous.read()
        system.store.hold()
        crash = asyncio.ensure_future(nervous.crash_later(True))
        await system.store.until_held()
        reader = asyncio.ensure_future(nervous.read())
        system.store.release()
        await asyncio.gather(crash, reader, return_exceptions=True)
        for told in (crash, reader):
            assert told.exception() is None or isinstance(told.exception(), ActorCrashed)
        assert await nervous.read() == 1


async def test_an_unsupervised_one_only_fails(world: Open) -> None:
    async with world() as system:
        one = link(system, "nervous", "x")
        await one.call("crash_later", False)
        while await one.call("read") != 1:
            await asyncio.sleep(0)
        assert one.peer.closed is None


# Destruction.


async def test_destroying_frees_the_address_and_sweeps_the_rows(world: Open) -> None:
    async with world() as system:
        room = system.get("room", "a")
        before = await rows(system)
        first = (await room.who_am_i())["id"]
        assert await room.end() == "ended"
        assert await system.get("counter", "destroyed").read() == 1
        with pytest.raises(ActorDestroyed):
            await system.get_by_id("room", first).who_am_i()
        second = await room.who_am_i()
        assert (second["id"] != first, second["generation"]) == (True, 1)
        assert await room.log_lines() == ["create None", "start 1"]
        await system.restart()
        with pytest.raises(ActorDestroyed):
            await system.get_by_id("room", first).who_am_i()
        await room.end()
        # Two tombstones stay, and what the counter has: head, record, address and its field.
        while await rows(system) != before + 2 + 4:
            await asyncio.sleep(0.001)


async def test_connections_of_a_destroyed_actor_are_closed_with_1000(world: Open) -> None:
    async with world() as system:
        ann, bob = (link(system, "room", "a", name=name) for name in ("ann", "bob"))
        await ann.call("names")
        await bob.call("names")
        call = ann.send("end")
        code, frames = await ann.end()
        assert (code, frames[-1]) == (1000, ("ro", {"i": call, "o": "ended"}))
        assert (await bob.end())[0] == 1000


async def test_the_reply_of_who_destroyed_waits_for_the_tombstone(world: Open) -> None:
    async with world() as system:
        room = system.get("room", "a")
        await room.who_am_i()
        await system.get("counter", "destroyed").increment()
        system.store.hold()
        ending = asyncio.ensure_future(room.end())
        await system.store.until_held()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not ending.done()
        system.store.release()
        assert await ending == "ended"


async def test_a_last_hook_that_hangs_does_not_keep_the_actor(world: Open) -> None:
    async with world(limits={"action_timeout_s": 0.1}) as system:
        room = system.get("room", "hangs")
        first = (await room.who_am_i())["id"]
        # The caller's time may be over before the hook's is; the end comes all the same.
        with contextlib.suppress(DenizenError):
            await room.end()
        while True:
            try:
                assert (await room.who_am_i())["id"] != first
                break
            except DenizenError:
                await asyncio.sleep(0.01)


async def test_calls_that_wait_for_a_destroyed_actor_are_told_or_meet_the_next(
    world: Open,
) -> None:
    async with world() as system:
        room = system.get("room", "a")
        first = (await room.who_am_i())["id"]
        calls = [room.end(), *(room.who_am_i() for _ in range(10))]
        ended, *others = await asyncio.gather(*calls, return_exceptions=True)
        assert ended == "ended"
        for other in others:
            assert isinstance(other, ActorDestroyed) or other["id"] != first or other["generation"]
        assert (await room.who_am_i())["id"] != first


async def test_a_waiting_exclusive_call_is_told_and_lets_nobody_past(world: Open) -> None:
    async with world() as system:
        latch, room = Latch(system), system.get("room", "a")
        held = asyncio.ensure_future(room.who("door"))
        await latch.arrived("door")
        ending = asyncio.ensure_future(room.end())
        await asyncio.sleep(0.01)
        late = asyncio.ensure_future(room.who_am_i())
        await asyncio.sleep(0.01)
        await latch.open("door")
        assert await held == ["-", "-"]
        assert await ending == "ended"
        assert (await late)["generation"] == 1


async def test_an_exclusive_action_that_raises_destroys_nothing(world: Open) -> None:
    async with world() as system:
        room = system.get("room", "a")
        first = (await room.who_am_i())["id"]
        with pytest.raises(UserError):
            await room.end_alone(True)
        assert (await room.who_am_i())["id"] == first
        await room.end_alone()
        assert (await room.who_am_i())["id"] != first


async def test_one_that_comes_and_goes_in_one_commit_leaves_its_address_free(world: Open) -> None:
    async with world() as system:
        await system.get("counter", "destroyed").increment()
        system.store.hold()
        fillers = []
        for number in range(DEFAULT.groups_in_flight_max):
            fillers.append(asyncio.ensure_future(system.get("stateless", f"x{number}").hello()))
            while system.store.groups_held < len(fillers):
                await asyncio.sleep(0)
        ending = asyncio.ensure_future(system.get("room", "a").end())
        await asyncio.sleep(0.05)
        system.store.release()
        assert await ending == "ended"
        assert (await system.get("room", "a").who_am_i())["generation"] == 1
        await asyncio.gather(*fillers)


async def test_a_destroyed_actor_does_not_come_back_by_tags(world: Open) -> None:
    async with world() as system:
        tags = {"name": "room", "who": "ann"}
        query = TagQuery("default", tags=tags, create_tags=tags)
        first = (await system.host.resolve(query, ANONYMOUS)).actor_id
        assert first is not None
        await system.get_by_id("room", first).end()
        assert (await system.host.resolve(query, ANONYMOUS)).actor_id != first
        with pytest.raises(DenizenError) as caught:
            await system.host.resolve(TagQuery("default", get_for_id=first), ANONYMOUS)
        assert caught.value.code == "actor_destroyed"
