"""Promise 8: an exclusive action runs alone, and all or nothing."""

import asyncio

import pytest

from denizen.core.errors import ActorStopped, CallCycle, RpcTimedOut, UserError
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link

AS_NEW = {
    "count": 0,
    "items": [],
    "table": {},
    "inner": {"names": []},
    "point": {"x": 0},
    "loose": None,
    "at": None,
    "text": "",
}


async def test_one_that_raises_leaves_all_as_before(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await latch.open("door")
        with pytest.raises(UserError, match="undone"):
            await book.change_all_alone(5, "door", True)
        assert await book.read() == AS_NEW
        await book.change_all_alone(3)
        before = await book.read()
        for _ in range(2):
            with pytest.raises(UserError, match="undone"):
                await book.change_all_alone(5, "door", True)
            with pytest.raises(UserError, match="undone"):
                await book.change_at_once(5, True)
        assert await book.read() == before
        await system.restart()
        assert await book.read() == before


async def test_one_that_ends_well_is_one_commit(world: Open) -> None:
    async with world() as system:
        latch, one = Latch(system), link(system, "book", "a")
        one.subscribe("half", "whole")
        await one.call("read")
        alone = one.send("change_all_alone", 2, "door")
        await latch.arrived("door")
        assert not one.peer.frames
        await system.restart()
        assert await system.get("book", "a").read() == AS_NEW
        assert (await one.end())[0] in (1011, 1012)
        assert alone == 1


async def test_the_list_that_a_spawned_task_holds_survives_the_undo(world: Open) -> None:
    """The task appends to the very list that the failed action had changed."""
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.add(1)
        await book.spawn_holding(7, "task")
        await latch.arrived("task")
        failing = asyncio.ensure_future(book.change_all_alone(2, "alone", True))
        await latch.arrived("alone")
        await latch.open("task")
        await latch.open("alone")
        with pytest.raises(UserError, match="undone"):
            await failing
        while (await book.read())["items"] != [1, 7]:
            await asyncio.sleep(0)
        await system.restart()
        read = await book.read()
        assert (read["items"], read["inner"], read["count"]) == ([1, 7], {"names": ["7"]}, 0)


async def test_what_a_child_of_an_ended_action_holds_survives_the_undo(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.add(1)
        await book.leave_child_holding(7, "task")
        await latch.arrived("task")
        with pytest.raises(UserError, match="undone"):
            await book.change_all_alone(2, "", True)
        await latch.open("task")
        while (await book.read())["items"] != [1, 7]:
            await asyncio.sleep(0)


async def test_it_starts_when_those_before_it_have_ended_and_later_ones_wait(world: Open) -> None:
    async with world() as system:
        latch, one = Latch(system), link(system, "book", "a")
        held = one.send("hold_items", 1, "first")
        await latch.arrived("first")
        alone = one.send("change_all_alone", 2, "second")
        reader = one.send("read")
        assert (await system.get("stateless", "a").hello()) == "hello"
        assert not one.peer.frames
        await latch.open("first")
        assert await one.answer(held) is None
        await latch.arrived("second")
        assert not one.peer.frames
        await latch.open("second")
        assert await one.answer(alone) is None
        assert (await one.answer(reader))["items"] == [1, 2, 2]


async def test_calls_queue_while_it_waits_for_another_actor(world: Open) -> None:
    async with world() as system:
        latch, account = Latch(system), system.get("account", "a")
        first = asyncio.ensure_future(account.put(1, "door"))
        await latch.arrived("door")
        others = [asyncio.ensure_future(account.put(1)) for _ in range(5)]
        peek = asyncio.ensure_future(account.peek())
        assert await system.get("stateless", "a").hello() == "hello"
        assert not peek.done()
        await latch.open("door")
        assert await asyncio.gather(first, *others) == [1, 2, 3, 4, 5, 6]
        assert await peek == 6


async def test_its_call_to_another_actor_is_not_undone(world: Open) -> None:
    async with world() as system:
        with pytest.raises(CallCycle):
            await system.get("loop", "a").alone(["b.beside", "a.beside"])
        assert await system.get("loop", "a").read() == 0
        assert await system.get("loop", "b").read() == 1


@pytest.mark.parametrize(
    "path",
    [["a.alone"], ["a.beside"], ["b.alone", "a.beside"], ["b.beside", "c.beside", "a.alone"]],
)
async def test_a_chain_that_waits_for_itself_is_refused(world: Open, path: list[str]) -> None:
    async with world() as system:
        with pytest.raises(CallCycle, match="waits, through a chain of calls, for itself"):
            await system.get("loop", "a").alone(path)


async def test_a_parallel_action_may_be_called_back(world: Open) -> None:
    async with world() as system:
        assert await system.get("loop", "a").beside(["b.beside", "a.beside", "a.beside"]) == "end"


async def test_a_call_back_behind_a_waiting_exclusive_action_is_refused(world: Open) -> None:
    """Else the caller would wait for the exclusive one, which waits for the caller."""
    async with world() as system:
        latch, loop = Latch(system), system.get("loop", "a")
        caller = asyncio.ensure_future(loop.beside(["@door", "b.beside", "a.beside"]))
        await latch.arrived("@door")
        waiting = asyncio.ensure_future(loop.alone([]))
        assert await system.get("loop", "c").alone([]) == "end"
        await latch.open("@door")
        with pytest.raises(CallCycle):
            await caller
        assert await waiting == "end"


async def test_two_chains_that_wait_for_each_other_are_not_left_waiting(world: Open) -> None:
    async with world() as system:
        latch = Latch(system)
        one = asyncio.ensure_future(system.get("loop", "a").alone(["@one", "b.alone"]))
        other = asyncio.ensure_future(system.get("loop", "b").alone(["@other", "a.alone"]))
        await latch.arrived("@one")
        await latch.arrived("@other")
        await latch.open("@one")
        await asyncio.sleep(0.05)  # the call of `a` has come to wait at `b`
        await latch.open("@other")
        with pytest.raises(CallCycle):
            await other
        assert await one == "end"


async def test_three_that_wait_in_a_ring_are_not_left_waiting(world: Open) -> None:
    async with world() as system:
        latch = Latch(system)
        ring = [("a", "b"), ("b", "c"), ("c", "a")]
        calls = [
            asyncio.ensure_future(system.get("loop", at).alone([f"@{at}", f"{to}.alone"]))
            for at, to in ring
        ]
        for at, _ in ring:
            await latch.arrived(f"@{at}")
        for at, _ in ring:
            await latch.open(f"@{at}")
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ended].count(CallCycle) == 1
        assert ended.count("end") == 2


async def test_a_cancelled_one_that_still_waits_never_runs(world: Open) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        held = asyncio.ensure_future(book.hold_items(1, "door"))
        await latch.arrived("door")
        with pytest.raises(RpcTimedOut):
            await book.too_slow_alone("never")
        reader = asyncio.ensure_future(book.read())
        assert (await reader)["count"] == 0
        await latch.open("door")
        await held
        assert (await book.read())["count"] == 0


async def test_one_that_is_cancelled_is_undone(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        with pytest.raises(RpcTimedOut):
            await book.too_slow_alone("never")
        assert (await book.read())["count"] == 0
        await system.restart()
        assert (await book.read())["count"] == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_loop_callback_of_one_is_a_part_of_it(world: Open, fails: bool) -> None:
    async with world() as system:
        latch, book = Latch(system), system.get("book", "a")
        await book.add(1)
        call = asyncio.ensure_future(book.callback_alone(5, "door", fails))
        await latch.arrived("door")
        if fails:
            await latch.open("door")
            with pytest.raises(UserError):
                await call
        else:
            # Nothing of it is committed before it ends.
            await system.restart()
            with pytest.raises(ActorStopped):
                await call
        read = await book.read()
        assert (read["count"], read["items"]) == (0, [1])
        await system.restart()
        assert (await book.read())["items"] == [1]


async def test_tasks_of_a_failed_one_never_run(world: Open) -> None:
    async with world() as system:
        book = system.get("book", "a")
        with pytest.raises(UserError):
            await book.spawn_and_fail()
        await system.get("stateless", "a").hello()
        assert (await book.read())["count"] == 0


async def test_a_whole_class_may_be_exclusive(world: Open) -> None:
    async with world() as system:
        account = system.get("account", "a")
        assert sorted(await asyncio.gather(*(account.put(1) for _ in range(10)))) == [*range(1, 11)]


async def test_a_dataclass_is_undone_too(world: Open) -> None:
    async with world() as system:
        plain = system.get("plain", "a")
        assert await plain.add("x") == {"count": 1, "names": ["x"]}
        with pytest.raises(UserError):
            await plain.fail("y")
        assert await plain.add("z") == {"count": 2, "names": ["x", "z"]}
        await system.restart()
        assert await plain.add("w") == {"count": 3, "names": ["x", "z", "w"]}
        assert await plain.replace() == {"count": 100, "names": ["new"]}
        await system.restart()
        assert await plain.add("v") == {"count": 101, "names": ["new", "v"]}
