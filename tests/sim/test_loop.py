"""The machine that worlds run on: virtual time, order, death, pause (L1 to L4)."""

import asyncio
from collections.abc import Iterator

import pytest

from denizen.testing.loop import EPOCH_S, NodeDied, Scheduler, Stuck


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.close()


def test_time_stands_still_while_anything_can_run_then_jumps(scheduler: Scheduler) -> None:
    node = scheduler.make_node("a")
    seen: list[float] = []

    async def look() -> None:
        for _ in range(1_000):
            await asyncio.sleep(0)
        seen.append(asyncio.get_running_loop().time())
        await asyncio.sleep(3_600)
        seen.append(asyncio.get_running_loop().time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        seen.append(asyncio.get_running_loop().time())

    task = node.start(look())
    scheduler.run_until(task.done, 10_000)
    task.result()
    assert seen == [0.0, 3_600.0, 3_600.5]
    assert scheduler.monotonic() == 3_600.5
    assert scheduler.now() == EPOCH_S + 3_600.5


def test_timers_of_one_instant_run_by_age_on_all_nodes(scheduler: Scheduler) -> None:
    a, b = scheduler.make_node("a"), scheduler.make_node("b")
    ran: list[str] = []
    for nth in range(50):
        (a, b)[nth % 2].call_at(1.0, ran.append, f"late {nth}")
    a.call_at(0.5, ran.append, "early")
    cancelled = b.call_at(0.7, ran.append, "never")
    cancelled.cancel()
    scheduler.run_until(lambda: len(ran) == 51, 10)
    assert ran == ["early", *(f"late {nth}" for nth in range(50))]


def test_each_node_sees_its_own_loop(scheduler: Scheduler) -> None:
    nodes = [scheduler.make_node(name) for name in "ab"]

    async def own() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(1)
        return asyncio.get_running_loop()

    tasks = [node.start(own()) for node in nodes]
    scheduler.run_until(lambda: all(task.done() for task in tasks), 10)
    assert [task.result() for task in tasks] == nodes
    assert not any(node.is_running() for node in nodes)


def test_a_killed_node_runs_nothing_any_more(scheduler: Scheduler) -> None:
    node, other = scheduler.make_node("a"), scheduler.make_node("b")
    ran: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
            ran.append("went on")
        finally:
            ran.append("cleaned up")

    def die() -> None:
        node.kill()
        raise NodeDied

    node.start(work())
    node.call_at(0.5, die)
    other.call_at(2.0, node.call_soon, ran.append, "was called")
    other.call_at(3.0, ran.append, "the other lives")
    scheduler.run_until(lambda: "the other lives" in ran, 10)
    assert ran == ["the other lives"]


def test_a_paused_node_runs_later_what_came_meanwhile(scheduler: Scheduler) -> None:
    node, other = scheduler.make_node("a"), scheduler.make_node("b")
    ran: list[tuple[str, float]] = []

    def note(what: str) -> None:
        ran.append((what, scheduler.monotonic()))

    node.pause()
    for nth in range(3):
        other.call_at(1.0 + nth, node.call_soon, note, f"call {nth}")
    node.call_at(1.5, note, "timer")
    other.call_at(5.0, node.resume)
    scheduler.run_until(lambda: len(ran) == 4, 10)
    assert ran == [("call 0", 5.0), ("timer", 5.0), ("call 1", 5.0), ("call 2", 5.0)]


def test_a_world_that_waits_for_ever_is_told_of_with_what_waits(scheduler: Scheduler) -> None:
    node = scheduler.make_node("a")

    async def forever() -> None:
        await asyncio.Event().wait()

    node.start(forever())
    with pytest.raises(Stuck, match=r"no timer is set.*\n  a: .*forever"):
        scheduler.run_until(lambda: False, 10)
    node.call_later(20, lambda: None)
    with pytest.raises(Stuck, match=r"Not done after 10 virtual seconds.*\n  a: .*forever"):
        scheduler.run_until(lambda: False, 10)


def test_what_nobody_handles_ends_the_world(scheduler: Scheduler) -> None:
    node = scheduler.make_node("a")
    node.call_soon(lambda: 1 // 0)
    with pytest.raises(Stuck, match="ZeroDivisionError"):
        scheduler.run_until(lambda: False, 10)


def test_threads_are_refused(scheduler: Scheduler) -> None:
    node = scheduler.make_node("a")
    with pytest.raises(RuntimeError, match="no threads"):
        node.run_in_executor(None, print)
    with pytest.raises(RuntimeError, match="no threads"):
        node.call_soon_threadsafe(print)
