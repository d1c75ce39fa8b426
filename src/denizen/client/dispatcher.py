"""The thread on which a sync client's event handlers run.

It is neither the loop's thread nor the application's: a handler may call the client and wait for
the answer without stopping the loop that the answer comes by.
"""

import inspect
import logging
import threading
from collections import deque
from typing import Any

from denizen.client.events import Handler

_log = logging.getLogger("denizen.client")


class Dispatcher:
    """Runs handlers one after the other, in the order in which events came.

    Over `waiting_max` waiting ones events are dropped, and the log says so.
    """

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Handler, tuple[Any, ...]]] = deque()
        self._changed = threading.Condition()
        self._is_ended = False
        self._dropped = 0
        self._thread: threading.Thread | None = None

    def wrap(self, handler: Any) -> Handler:
        """A handler for the loop's thread that has `handler` run here."""
        if not callable(handler) or inspect.iscoroutinefunction(handler):
            raise TypeError(f"A sync client's handler is a plain function, not {handler!r}.")
        return lambda *args: self._put(handler, args)

    def end(self, timeout_s: float) -> None:
        """Drop what waits, and wait for the handler that runs, unless that is who asks."""
        with self._changed:
            self._is_ended = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _put(self, handler: Handler, args: tuple[Any, ...]) -> None:
        with self._changed:
            if self._is_ended:
                return
            if len(self._waiting) >= self._waiting_max:
                self._drop()
                return
            self._waiting.append((handler, args))
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="denizen-events", daemon=True)
            self._thread.start()

    def _main(self) -> None:
        while (waiting := self._take()) is not None:
            handler, args = waiting
            try:
                handler(*args)
            except Exception:
                _log.exception("A handler of an event raised; the others run.")

    def _take(self) -> tuple[Handler, tuple[Any, ...]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_ended)
            return None if self._is_ended else self._waiting.popleft()

    def _drop(self) -> None:
        self._dropped += 1
        if (
            self._dropped & (self._dropped - 1) == 0
        ):  # 1, 2, 4, 8, ... so that the log stays readable
            _log.error("%d events dropped so far: their handlers are too slow.", self._dropped)
