"""How an actor's coroutines run as turns.

Theory. An actor's code may be entered only one stretch at a time, and between two awaits lies one turn.
asyncio drives a task by calling `send` on its coroutine; so every coroutine of an actor is wrapped in
`Steps`, whose `send` is exactly one turn: enter, run to the next await, leave. No mailbox is needed, and what
runs inside is an ordinary current task, as timeouts, task groups and network libraries expect.

- U1 Each piece of an actor's code runs between `enter` and one of `suspended`, `returned`, `raised`.
- U2 Tasks that an actor's code creates belong to it: the loop's task factory wraps their coroutines too.
- U3 While an exclusive activity runs, no other piece of that actor runs: a task that wakes is held.
- U4 An activity that was cancelled and lives on is abandoned after its grace: no code of it runs again.

The signal of U4 derives from BaseException, so that `except Exception` can't swallow it; a coroutine that
swallows even that is closed and never stepped again.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import msgspec

from denizen.host.runtimes.python.tracking import Journal
from denizen.sdk.actions import Action
from denizen.wire.runtime import Output

if TYPE_CHECKING:
    from denizen.host.runtimes.python.turn_keeper import TurnKeeper

Code = Coroutine[Any, Any, Any]
"""A coroutine of an actor's author."""


class ActivityAbandoned(BaseException):
    """The activity outlived its cancellation; it ends now."""


class Holding:
    """What an exclusive activity did so far, kept until it ends: all of it happens, or nothing."""

    __slots__ = ("journal", "outputs", "spawned", "touched")

    def __init__(self) -> None:
        self.journal = Journal()
        self.touched: set[str] = set()
        self.outputs: list[Output] = []
        self.spawned: list[tuple[Code, bool, str | None]] = []


class Activity(msgspec.Struct, eq=False):
    """One call, hook, HTTP request or background task of an actor.

    `id` is None for what the host didn't ask for. `aliases` are the fields that it may hold a mutable
    value of (see `tracking`, T1). `holding` is there while it is an exclusive one under way.
    `error` is thrown into it in place of the cancellation that wakes it. `has_tasks`: others than
    its own, which may outlive it.
    """

    body: "TurnKeeper"
    id: int | None
    connection_id: str | None = None
    action: Action | None = None
    holding: Holding | None = None
    aliases: set[str] | None = None
    task: "asyncio.Task[Any] | None" = None
    error: BaseException | None = None
    has_tasks: bool = False
    is_cancelled: bool = False
    is_abandoned: bool = False
    is_supervised: bool = True


current: ContextVar[Activity | None] = ContextVar("denizen_activity", default=None)
"""The activity on whose behalf code runs; tasks inherit it with their context."""


class Steps(Coroutine[Any, Any, Any]):
    """A coroutine of an actor, run one turn a step (U1).

    The code runs in `context`; the task that drives it has a clean one, so that nothing which the
    host does at a turn's end is taken for the actor's doing (U2).
    """

    __slots__ = ("_activity", "_code", "_context", "_is_main", "_thrown")

    def __init__(self, activity: Activity, code: Code, context: Context, *, is_main: bool) -> None:
        self._activity = activity
        self._code = code
        self._context = context
        self._is_main = is_main
        self._thrown: BaseException | None = None

    def send(self, value: Any) -> Any:
        activity = self._activity
        body = activity.body
        if body.exclusive is not None and body.exclusive is not activity:
            return body.hold()
        if self._thrown is not None or activity.is_abandoned:
            return self._throw_now()
        body.enter(activity)
        try:
            yielded = self._context.run(self._code.send, value)
        except StopIteration as stop:
            return self._returned(stop)
        except BaseException as error:
            return self._raised(error)
        body.suspended(activity)
        return yielded

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if isinstance(error, type):
            error = error() if value is None else value
        activity = self._activity
        if self._is_main and activity.error is not None:
            error, activity.error = activity.error, None
            if activity.task is not None:
                activity.task.uncancel()
        self._thrown = error
        if activity.body.exclusive is not None and activity.body.exclusive is not activity:
            return activity.body.hold()
        return self._throw_now()

    def close(self) -> None:
        self._code.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._code.__await__())

    def _throw_now(self) -> Any:
        activity = self._activity
        body = activity.body
        error = self._thrown
        self._thrown = None
        if activity.is_abandoned or error is None:
            error = ActivityAbandoned()
        body.enter(activity)
        try:
            yielded = self._context.run(self._code.throw, error)
        except StopIteration as stop:
            return self._returned(stop)
        except BaseException as raised:
            return self._raised(raised)
        if activity.is_abandoned:
            return self._close_now()
        body.suspended(activity)
        return yielded

    def _returned(self, stop: StopIteration) -> Any:
        if self._is_main:
            self._activity.body.returned(self._activity, stop.value)
        else:
            self._activity.body.suspended(self._activity)
        raise stop

    def _raised(self, error: BaseException) -> Any:
        activity = self._activity
        if not self._is_main:
            activity.body.suspended(activity)
            raise error
        activity.body.raised(activity, error)
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
            raise error
        # The error has gone where it belongs; the task itself has nothing more to tell.
        raise StopIteration(None)

    def _close_now(self) -> Any:
        # It may await even while it is being closed. It is never stepped again.
        with contextlib.suppress(RuntimeError):
            self._code.close()
        return self._raised(ActivityAbandoned())


def task_factory(loop: asyncio.AbstractEventLoop, code: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task; one that an actor's code asks for runs in that actor's turns (U2)."""
    activity = current.get()
    if activity is None:
        return asyncio.Task(code, loop=loop, **options)
    context = options.pop("context", None) or copy_context()
    steps = Steps(activity, code, context, is_main=False)
    task = asyncio.Task(steps, loop=loop, context=Context(), **options)
    activity.has_tasks = True
    activity.body.adopt(task)
    return task
