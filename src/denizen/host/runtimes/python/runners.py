"""Tasks that run the first stretch of many activities, one after the other.

Theory. An async action needs a real current task from its first line, but most actions end without ever
waiting, and a task each would be a third of a call's cost (measured: 2.5 of 9 µs). So activities queue
for a *runner*: a task that takes the next one and runs its first turn. If that ends it, the runner takes the
next; if it awaits, the runner is that activity's own task from then on, until its end, and another takes over
the queue. A plain `def` goes the same way, so that it overtakes nothing that was sent before it.

- R1 Activities begin in the order in which they were queued.
- R2 A task in which an activity ever waited runs no other: what cancels it later can only mean that one.
- R3 Each activity has its own context: what one sets in a context variable, no other sees.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from denizen.host.runtimes.python.turns import Activity, Code, Steps, current

Start = Callable[..., Any]
"""What begins an activity: a `def` returns its result, an `async def` its coroutine."""


class Runners:
    """The queue of activities that are to begin, and the runner that takes from it. One a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ready: deque[tuple[Activity, Start, tuple[Any, ...]]] = deque()
        self._idle: asyncio.Future[None] | None = None
        self._has_runner = False
        self._is_closed = False
        self._runner: asyncio.Task[Any] | None = None
        # Runners inherit nothing from whom they are made by.
        self._context = Context()

    def begin(self, activity: Activity, start: Start, args: tuple[Any, ...]) -> None:
        """Run an activity soon, after all before it: `start(*args)` makes its result or its code."""
        if self._is_closed:
            return
        self.ready.append((activity, start, args))
        idle = self._idle
        if idle is not None:
            self._idle = None
            idle.set_result(None)
        elif not self._has_runner:
            self._make_runner()

    def park(self) -> Any:
        """The runner found nothing more to do: what it waits for. Raises StopIteration at the end."""
        if self._is_closed:
            raise StopIteration
        self._idle = self._loop.create_future()
        return next(self._idle.__await__())

    def taken(self) -> None:
        """The runner has become an activity's own task."""
        self._has_runner = False
        if self.ready:
            self._make_runner()

    def gone(self) -> None:
        """The runner was cancelled while it was idle: the loop is ending, or somebody meddles."""
        self._idle = None
        self.taken()

    def close(self) -> None:
        """End the runner, now if it is idle: nothing begins any more."""
        self._is_closed = True
        if self._idle is not None and self._runner is not None:
            self._runner.cancel()

    def _make_runner(self) -> None:
        self._has_runner = True
        runner = _Runner(self)
        self._runner = runner.task = asyncio.Task(
            runner, loop=self._loop, name="denizen-runner", context=self._context.copy()
        )


class _Runner(Coroutine[Any, Any, Any]):
    """The coroutine of a runner's task."""

    __slots__ = ("_runners", "_steps", "task")

    def __init__(self, runners: Runners) -> None:
        self._runners = runners
        self._steps: Steps | None = None
        self.task: asyncio.Task[Any]

    def send(self, value: Any) -> Any:
        if self._steps is not None:
            return self._steps.send(value)
        ready = self._runners.ready
        while ready:
            activity, start, args = ready.popleft()
            body = activity.body
            if activity.is_cancelled:
                body.raised(activity, asyncio.CancelledError())
                continue
            context = copy_context()
            body.enter(activity)
            try:
                yielded = context.run(_first_turn, activity, start, args)
            except StopIteration as stop:
                body.returned(activity, stop.value)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                body.raised(activity, error)
            else:
                return self._become(activity, context, yielded)
        return self._runners.park()

    def _become(self, activity: Activity, context: Context, first: "tuple[Code, Any]") -> Any:
        """The activity waits: this task is its own from now on (R2)."""
        code, yielded = first
        self._steps = Steps(activity, code, context, is_main=True)
        activity.task = self.task
        activity.body.adopt(self.task)
        self._runners.taken()
        activity.body.suspended(activity)
        return yielded

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if self._steps is not None:
            return self._steps.throw(error, value, traceback)
        self._runners.gone()
        raise error

    def close(self) -> None:
        if self._steps is not None:
            self._steps.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("A runner is driven by its task only.")


def _first_turn(activity: Activity, start: Start, args: tuple[Any, ...]) -> tuple[Code, Any]:
    """Begin an activity. Raises StopIteration if that was all of it, like a coroutine's `send`."""
    current.set(activity)
    begun = start(*args)
    if not isinstance(begun, CoroutineType):
        raise StopIteration(begun)
    return begun, begun.send(None)
