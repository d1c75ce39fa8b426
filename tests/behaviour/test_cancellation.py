"""Time runs out: the caller is told at once, and code that doesn't want to end is dealt with."""

import asyncio
import gc

import pytest

from denizen.core.errors import RpcTimedOut
from tests.behaviour.conftest import Open
from tests.behaviour.link import link

QUICK = {"cancel_grace_s": 0.05}


async def test_a_turn_that_had_ended_stands(world: Open) -> None:
    async with world() as system:
        stubborn = system.get("stubborn", "a")
        with pytest.raises(RpcTimedOut, match=r"took longer than 0\.05 s and was cancelled"):
            await stubborn.change_then_sleep()
        await system.restart()
        assert await stubborn.read() == 1


async def test_cancelled_between_the_end_of_a_turn_and_its_commit(world: Open) -> None:
    async with world() as system:
        one = link(system, "stubborn", "a")
        assert await one.call("read") == 0
        system.store.hold()
        late = one.send("change_then_sleep")
        assert (await one.answer(late))["c"] == "rpc_timed_out"
        read = one.send("read")
        for _ in range(20):
            await asyncio.sleep(0)
        assert not one.peer.frames
        system.store.release()
        assert await one.answer(read) == 1


async def test_clean_up_after_a_cancellation_is_kept(world: Open) -> None:
    async with world() as system:
        stubborn = system.get("stubborn", "a")
        with pytest.raises(RpcTimedOut):
            await stubborn.clean_up()
        while await stubborn.read() != 10:
            await asyncio.sleep(0)


# Python says at the end of such a coroutine that it ignored its end: so it did.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "action",
    ["swallow_once", "swallow_for_ever", "swallow_everything", "swallow_for_ever_alone"],
)
async def test_who_swallows_the_cancellation_stops_nobody_for_long(
    world: Open, action: str
) -> None:
    async with world(limits=QUICK) as system:
        stubborn, account = system.get("stubborn", "a"), system.get("account", "a")
        with pytest.raises(RpcTimedOut):
            await stubborn.call(action)
        assert await account.put(1) == 1
        count = await asyncio.wait_for(stubborn.read(), 5)
        if action == "swallow_for_ever_alone":
            assert count == 0
        await asyncio.sleep(0.15)
        after = await stubborn.read()
        await asyncio.sleep(0.05)
        assert await stubborn.read() == after
        gc.collect()


async def test_an_exclusive_one_that_swallows_and_returns_is_undone(world: Open) -> None:
    """Its caller was told that it failed, so it did."""
    async with world() as system:
        book = system.get("book", "a")
        one = link(system, "book", "a")
        with pytest.raises(RpcTimedOut):
            await book.call("swallow_alone", "never")
        assert (await one.call("read"))["count"] == 0


async def test_calls_to_other_actors_carry_the_deadline(world: Open) -> None:
    async with world() as system:
        with pytest.raises(RpcTimedOut, match=r"0\.05 s"):
            await system.get("book", "a").too_slow_alone("never")
        # The latch would have waited for 30 s.
        while await system.get("latch").waiting():
            await asyncio.sleep(0)


async def test_an_answer_comes_once_though_two_things_end_it(world: Open) -> None:
    async with world() as system:
        one = link(system, "stubborn", "a")
        calls = [one.send(action) for action in ("swallow_once", "change_then_sleep", "clean_up")]
        for call in calls:
            assert (await one.answer(call))["c"] == "rpc_timed_out"
        while await one.call("read") != 12:
            await asyncio.sleep(0)
        assert one.passed == []
