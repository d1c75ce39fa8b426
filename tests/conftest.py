"""How every test runs: async tests on a loop of their own, a deadline for each, nothing left over.

Only the harness lives here. What tests use to build systems is in `denizen.testing`, what one
folder's tests share is beside them.

- `async def test_*` runs on a fresh uvloop loop. There are no async fixtures: a test opens what it
  needs with `async with`.
- A test that takes longer than its deadline fails: 60 s, or `@pytest.mark.deadline(seconds)`.
- An async test fails if it leaves a task running, or if its loop met an exception that nobody got.
- At the end the time spent is printed by folder.
"""

import asyncio
import functools
import inspect
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import hypothesis
import pytest
import uvloop

pytest_plugins = ["pytester"]

DEADLINE_S = 60.0
BLOCKED_GRACE_S = 5.0
SETTLING_TURNS = 10

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    # Machines that run tests are shared: how fast examples come says nothing about them.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# Running.


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine function to its end on a loop of its own."""
    test = pyfuncitem.obj
    deadline_s = _deadline_of(pyfuncitem)
    inner = getattr(getattr(test, "hypothesis", None), "inner_test", None)
    if inspect.iscoroutinefunction(inner):
        # Hypothesis calls the inner test once an example: each gets a loop.
        test.hypothesis.inner_test = _as_sync(inner, deadline_s)
        return None
    if not inspect.iscoroutinefunction(test):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    _as_sync(test, deadline_s)(**{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Stop a test that blocks, loop and all; an async one is cancelled by its loop before that."""
    with _alarm_after(_deadline_of(item) + BLOCKED_GRACE_S):
        return (yield)


def _deadline_of(item: pytest.Item) -> float:
    marker = item.get_closest_marker("deadline")
    return float(marker.args[0]) if marker else DEADLINE_S


@contextmanager
def _alarm_after(seconds: float) -> Iterator[None]:
    def ring(_signal: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "no Python frame"
        pytest.fail(f"The test was still running after {seconds:g} s, at {where}.")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _as_sync(
    test: Callable[..., Coroutine[Any, Any, None]], deadline_s: float
) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        unhandled: list[str] = []
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _, context: unhandled.append(_describe(context)))
            runner.run(_within(test(*args, **kwargs), deadline_s))
        if unhandled:
            pytest.fail("The loop met what nobody handled:\n" + "\n".join(unhandled))

    return run


async def _within(test: Coroutine[Any, Any, None], deadline_s: float) -> None:
    """Await the test, at most `deadline_s`, then see that it has left no task."""
    limit = asyncio.timeout(deadline_s)
    try:
        async with limit:
            await test
    except TimeoutError:
        if limit.expired():
            tasks = "\n".join(f"  {task!r}" for task in asyncio.all_tasks())
            pytest.fail(f"The test took longer than {deadline_s:g} s. Tasks:\n{tasks}")
        raise
    finally:
        left = await _cancel_left_over()
    if left:
        pytest.fail("The test left tasks running:\n" + "\n".join(f"  {task}" for task in left))


async def _cancel_left_over() -> list[str]:
    """Cancel all tasks but this one and say which they were.

    What was told to end, and does so within a few turns of the loop, isn't left over.
    """
    left: set[asyncio.Task[Any]] = set()
    for _ in range(SETTLING_TURNS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0)
    described = sorted(repr(task) for task in left)
    for task in left:
        task.cancel("the test has ended")
    await asyncio.gather(*left, return_exceptions=True)
    return described


def _describe(context: dict[str, Any]) -> str:
    return f"  {context.get('message')} {context.get('exception')!r} {context.get('task') or ''}"


# Reporting.


class TimeByFolder:
    """Adds up what tests took, and how they ended, by their folder under `tests/`."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._ended: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        parts = report.nodeid.split("::")[0].split("/")
        folder = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
        self._seconds[folder] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self._ended[folder][report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._seconds:
            return
        terminalreporter.section("time by folder")
        terminalreporter.write_line(f"{'seconds':>9}  {'passed':>6} {'failed':>6} {'skipped':>7}")
        for folder, seconds in sorted(self._seconds.items()):
            ended = self._ended[folder]
            counts = f"{ended['passed']:>6} {ended['failed']:>6} {ended['skipped']:>7}"
            terminalreporter.write_line(f"{seconds:>9.1f}  {counts}  {folder}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TimeByFolder())
