"""Reloading: this process watches and forks, its children load the author's module and serve.

It has imported what serving needs, but never the author's code, so each child begins at once and
with a clean slate. A new child first loads the module; only if that succeeds is the old one told to
end, and when it has ended, the new one is told to begin: what was acknowledged is on disk by then,
and code that doesn't load disturbs nobody.
"""

import asyncio
import os
import select
import signal
import socket
import sys
import traceback
from dataclasses import replace
from types import TracebackType
from typing import Self

import uvloop

from denizen.cli import watching
from denizen.cli.screen import Failure, show_failure, tell
from denizen.cli.serving import DevOptions, Prepared
from denizen.core import clock

_ENDING_S = 12.0
_LOADED, _BEGIN = b"l", b"b"


def run(options: DevOptions) -> int:
    """Serve and reload until told to end; the exit code."""
    if options.port == 0:
        options = replace(options, port=_free_port(options.host))
    with _Signals() as signals, watching.watch(options.source.folder) as changes:
        return _Supervisor(options, signals, changes).run()


class _Child:
    """A process that loads the module, waits for its turn, and serves."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control
        self.is_loaded = False
        self.kill_at: float | None = None

    def begin(self) -> None:
        try:
            self.control.send(_BEGIN)
        except BrokenPipeError:
            return  # it has ended by itself, which is noticed elsewhere

    def end(self) -> None:
        """Ask it to end, and remember when to stop waiting."""
        self.kill_at = clock.monotonic() + _ENDING_S
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit code once it has ended (negative: the signal), else None."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.control.close()
        return os.waitstatus_to_exitcode(status)


class _Supervisor:
    def __init__(self, options: DevOptions, signals: "_Signals", changes: int) -> None:
        self._options = options
        self._signals = signals
        self._changes = changes
        self._serving: _Child | None = None
        self._candidate: _Child | None = None
        self._has_served = False
        self._is_ending = False
        self._exit_code: int | None = None

    def run(self) -> int:
        self._start_candidate()
        while self._exit_code is None:
            self._wait()
        return self._exit_code

    def _wait(self) -> None:
        """Wait for one of: a signal, a change, a word of the candidate, the end of patience."""
        candidate = self._candidate
        sources: list[int | socket.socket] = [self._signals.descriptor, self._changes]
        if candidate is not None and not candidate.is_loaded:
            sources.append(candidate.control)
        ready = select.select(sources, [], [], self._patience())[0]
        if candidate is not None and candidate.control in ready:
            self._hear(candidate)
        if self._signals.descriptor in ready:
            self._take_signals()
        self._notice_ends()
        if self._changes in ready and os.read(self._changes, 4_096) and not self._is_ending:
            tell("The code has changed.")
            self._start_candidate()

    def _patience(self) -> float | None:
        serving = self._serving
        if serving is None or serving.kill_at is None:
            return None
        left_s = serving.kill_at - clock.monotonic()
        if left_s <= 0:
            serving.kill()
            return None
        return left_s

    def _start_candidate(self) -> None:
        if self._candidate is not None:
            self._candidate.kill()
            os.waitpid(self._candidate.pid, 0)
            self._candidate.control.close()
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            # No copy of our end may live in a child: its closing tells the others that we are gone.
            for child in (self._serving, self._candidate):
                if child is not None:
                    child.control.close()
            ours.close()
            self._signals.forget()
            _become_child(self._options, theirs, again=self._has_served)
        theirs.close()
        self._candidate = _Child(pid, ours)

    def _hear(self, candidate: _Child) -> None:
        if candidate.control.recv(1) != _LOADED:
            candidate.is_loaded = False  # it ends: `_notice_ends` says what that means
            return
        candidate.is_loaded = True
        if self._serving is None:
            self._promote(candidate)
        else:
            self._serving.end()

    def _promote(self, candidate: _Child) -> None:
        self._serving, self._candidate = candidate, None
        self._has_served = True
        candidate.begin()

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGCHLD:
                continue
            if self._is_ending or self._serving is None:
                self._abandon(128 + number)
            else:
                self._is_ending = True
                self._serving.end()

    def _abandon(self, exit_code: int) -> None:
        for child in (self._serving, self._candidate):
            if child is not None:
                child.kill()
        self._exit_code = exit_code

    def _notice_ends(self) -> None:
        candidate, serving = self._candidate, self._serving
        if candidate is not None and candidate.poll() is not None:
            self._candidate = None
            is_served = serving is not None
            tell(
                "The old code goes on serving."
                if is_served
                else "Waiting for a change of the code."
            )
        if serving is not None and (exit_code := serving.poll()) is not None:
            self._serving = None
            self._serving_has_ended(exit_code, was_told=serving.kill_at is not None)

    def _serving_has_ended(self, exit_code: int, *, was_told: bool) -> None:
        candidate = self._candidate
        if self._is_ending:
            self._abandon(0)
        elif was_told:
            if candidate is not None and candidate.is_loaded:
                self._promote(candidate)
        elif exit_code in (0, 1):  # somebody else told it to end, or it couldn't begin and said why
            self._abandon(exit_code)
        else:
            tell(f"The server has ended by itself ({_describe(exit_code)}). Waiting for a change.")


def _become_child(options: DevOptions, parent: socket.socket, *, again: bool) -> None:
    """Load, wait for the word, serve. Never returns."""
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


class _Signals:
    """Signals as bytes on a descriptor, so that one `select` waits for everything."""

    NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair()
        self._receiving.setblocking(False)
        self._sending.setblocking(False)
        self.descriptor = self._receiving.fileno()

    def __enter__(self) -> Self:
        for number in self.NUMBERS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._sending.fileno())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget()

    def take(self) -> bytes:
        """The numbers of the signals that came."""
        try:
            return self._receiving.recv(4_096)
        except BlockingIOError:
            return b""

    def forget(self) -> None:
        """Let signals do again what they do by default."""
        signal.set_wakeup_fd(-1)
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_DFL)
        self._receiving.close()
        self._sending.close()


def _free_port(host: str) -> int:
    """A port that nobody uses now: all children are to have the same."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _describe(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
