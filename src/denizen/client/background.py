"""One event loop in one background thread a process, for code that has no loop of its own.

The thread starts when it is first needed and ends with the interpreter. After `os.fork` the child
starts its own: what the parent's thread held stays the parent's, untouched and unclosed, because
the sockets are shared with it.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from denizen.core.errors import NotConnected, OutcomeUnknown

_new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # on Windows there is none
    import uvloop

    _new_loop = uvloop.new_event_loop

T = TypeVar("T")

_END_TIMEOUT_S = 2.0


class LoopThread:
    """A thread that runs an event loop until the interpreter ends."""

    _loop: asyncio.AbstractEventLoop
    _may_end: asyncio.Event

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="denizen-client", daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it. An interrupt here cancels it there."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError(
                "A sync client can't be used on its own loop: it would wait for itself."
            )
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise NotConnected("The interpreter is ending: no calls can be made.") from None
        try:
            return future.result()
        except CancelledError:
            raise OutcomeUnknown(
                "The interpreter ended while the call was under way: it may have run."
            ) from None
        except BaseException:
            future.cancel()
            raise

    def end(self) -> None:
        """Cancel what runs and end the thread."""
        self._loop.call_soon_threadsafe(self._may_end.set)
        self._thread.join(_END_TIMEOUT_S)

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._stand())

    async def _stand(self) -> None:
        self._may_end = asyncio.Event()
        self._is_ready.set()
        await self._may_end.wait()


_lock = threading.Lock()
_current: LoopThread | None = None
_of_the_parent: list[LoopThread] = []


def loop_thread() -> LoopThread:
    """The thread of this process, started if need be."""
    global _current
    if _current is None:
        with _lock:
            if _current is None:
                _current = LoopThread()
    return _current


def is_current(thread: LoopThread) -> bool:
    """Whether it is this process's thread, and not one from before a fork."""
    return thread is _current


def _begin_child() -> None:
    """In a forked child: forget the parent's thread without touching what it holds."""
    global _current, _lock
    _lock = threading.Lock()
    if _current is not None:
        _of_the_parent.append(_current)  # never finalized: that would close the parent's sockets
        _current = None


def _end_at_exit() -> None:
    if _current is not None:
        _current.end()


atexit.register(_end_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
