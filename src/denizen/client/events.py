"""Handlers of events: who wants which, and calling them in order. No socket and no protocol here.

Handlers run one after the other, in the order in which events came and handlers were added. A plain
function runs at once; an async one holds those behind it until it has ended, and never a reply.
"""

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from denizen.client.tasks import TaskSet

Handler = Callable[..., Any]

_log = logging.getLogger("denizen.client")


class _Registration:
    """One handler of one event, until it is taken off or, `once`, until it has been called."""

    __slots__ = ("handler", "is_on", "is_once")

    def __init__(self, handler: Handler, is_once: bool) -> None:
        self.handler = handler
        self.is_once = is_once
        self.is_on = True


class EventHandlers:
    """The handlers of one connection.

    Async handlers run in `tasks`; `waiting_max` bounds the handler calls that wait for one: over it
    events are dropped, and the log says so.
    """

    def __init__(self, where: str, waiting_max: int, tasks: TaskSet) -> None:
        self._where = where
        self._waiting_max = waiting_max
        self._tasks = tasks
        self._by_event: dict[str, list[_Registration]] = {}
        self._queue: deque[tuple[_Registration, list[Any]]] = deque()
        self._is_busy = False
        self._dropped = 0

    def add(self, event: str, handler: Handler, *, is_once: bool) -> Callable[[], bool]:
        """Add a handler; what is returned takes it off and says whether it was the event's last."""
        if not callable(handler):
            raise TypeError(f"A handler is a function, not {handler!r}.")
        registration = _Registration(handler, is_once)
        self._by_event.setdefault(event, []).append(registration)
        return lambda: self._remove(event, registration)

    def wants(self, event: str) -> bool:
        return event in self._by_event

    def deliver(self, event: str, args: list[Any]) -> None:
        """Call the handlers of an event, or put it behind what an async handler is busy with."""
        registrations = self._by_event.get(event, ())
        if len(self._queue) + len(registrations) > self._waiting_max:
            self._drop(event)
            return
        for registration in tuple(registrations):
            self._queue.append((registration, args))
            if registration.is_once:
                self._remove(event, registration, is_called=True)
        if not self._is_busy:
            self._pump()

    def _remove(self, event: str, registration: _Registration, *, is_called: bool = False) -> bool:
        registrations = self._by_event.get(event, [])
        registration.is_on = is_called
        if registration not in registrations:
            return False
        registrations.remove(registration)
        if registrations:
            return False
        del self._by_event[event]
        return True

    def _pump(self) -> None:
        """Call what waits until it is done or an async handler has to be awaited."""
        self._is_busy = True
        while self._queue:
            pending = self._call_next()
            if pending is not None:
                self._tasks.start(self._await_rest(pending), f"events of {self._where}")
                return
        self._is_busy = False

    async def _await_rest(self, pending: Awaitable[Any] | None) -> None:
        try:
            while True:
                if pending is not None:
                    await self._guard(pending)
                if not self._queue:
                    break
                pending = self._call_next()
        finally:
            self._is_busy = False

    def _call_next(self) -> Awaitable[Any] | None:
        registration, args = self._queue.popleft()
        if not registration.is_on:
            return None
        try:
            result = registration.handler(*args)
        except Exception:
            self._report()
            return None
        return result if inspect.isawaitable(result) else None

    async def _guard(self, pending: Awaitable[Any]) -> None:
        try:
            await pending
        except Exception:
            self._report()

    def _report(self) -> None:
        _log.exception("A handler of an event of %s raised; the others run.", self._where)

    def _drop(self, event: str) -> None:
        self._dropped += 1
        if (
            self._dropped & (self._dropped - 1) == 0
        ):  # 1, 2, 4, 8, ... so that the log stays readable
            _log.error(
                "%d events of %s dropped so far, the last one %r: its handlers are too slow.",
                self._dropped,
                self._where,
                event,
            )
