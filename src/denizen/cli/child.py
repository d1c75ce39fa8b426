"""A process that loads the author's module, waits for its turn, and serves: both ends of it.

The two talk over a socket: the child says that it has loaded, the parent that it may begin. When
the parent's end closes, the child ends at once.
"""

import asyncio
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import uvloop

from denizen.cli.screen import Failure, show_failure
from denizen.cli.serving import DevOptions, Prepared
from denizen.core import clock

_ENDING_S = 12.0
_LOADED, _BEGIN = b"l", b"b"


class Child:
    """The parent's end."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control
        self.is_loaded = False
        self.kill_at: float | None = None
        """When to stop waiting for its end; None as long as it wasn't told to end."""

    @classmethod
    def fork(cls, options: DevOptions, *, again: bool, let_go: Callable[[], None]) -> "Child":
        """Make one, which begins to load. `let_go` closes, in it, what is its parent's."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            let_go()
            _live(options, theirs, again=again)
        theirs.close()
        return cls(pid, ours)

    def hear(self) -> None:
        """Take what it said, or that it is ending, which `poll` tells soon."""
        self.is_loaded = self.control.recv(1) == _LOADED

    def begin(self) -> None:
        """Let it serve."""
        try:
            self.control.send(_BEGIN)
        except BrokenPipeError:
            return  # it has ended by itself, which is noticed elsewhere

    def end(self) -> None:
        """Ask it, once, to end."""
        if self.kill_at is None:
            self.kill_at = clock.monotonic() + _ENDING_S
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def discard(self) -> None:
        """End it at once and wait until it has ended."""
        self.kill()
        os.waitpid(self.pid, 0)
        self.control.close()

    def poll(self) -> int | None:
        """Its exit code once it has ended (negative: the signal), else None."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.control.close()
        return os.waitstatus_to_exitcode(status)


def _live(options: DevOptions, parent: socket.socket, *, again: bool) -> NoReturn:
    """The child's end: load, wait for the word, serve."""
    exit_code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the parent tells us
        prepared = Prepared(options)
        parent.send(_LOADED)
        if parent.recv(1) == _BEGIN:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(prepared.serve((signal.SIGTERM,), parent, again=again))
            exit_code = 0
    except Failure as failure:
        show_failure(failure)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
