"""Reloading: this process watches and forks, its children load the author's module and serve.

It has imported what serving needs, but never the author's code, so each child begins at once and
with a clean slate. A new child first loads the module; only if that succeeds is the old one told to
end, and when it has ended, the new one is told to begin: what was acknowledged is on disk by then,
and code that doesn't load disturbs nobody.
"""

import os
import select
import signal
import socket

from msgspec.structs import replace

from denizen.cli import watching
from denizen.cli.child import Child
from denizen.cli.screen import tell
from denizen.cli.serving import DevOptions
from denizen.cli.signals import Signals
from denizen.core import clock

_WAITING = "Waiting for a change of the code."


def run(options: DevOptions) -> int:
    """Serve and reload until told to end; the exit code."""
    if options.port == 0:
        options = replace(options, port=_free_port(options.host))
    with Signals() as signals, watching.watch(options.source.folder) as changes:
        return _Supervisor(options, signals, changes).run()


class _Supervisor:
    """At most two children: one that serves, and a candidate that loads or waits to follow it."""

    def __init__(self, options: DevOptions, signals: Signals, changes: int) -> None:
        self._options = options
        self._signals = signals
        self._changes: int | None = changes
        self._serving: Child | None = None
        self._candidate: Child | None = None
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
        sources: list[int | socket.socket] = [self._signals.descriptor]
        if self._changes is not None:
            sources.append(self._changes)
        if candidate is not None and not candidate.is_loaded:
            sources.append(candidate.control)
        ready = select.select(sources, [], [], self._patience())[0]
        if candidate is not None and candidate.control in ready:
            self._hear(candidate)
        if self._signals.descriptor in ready:
            self._take_signals()
        self._notice_ends()
        if self._changes is not None and self._changes in ready:
            self._take_changes(self._changes)

    def _take_changes(self, changes: int) -> None:
        if not os.read(changes, 4_096):
            self._changes = None  # the watcher is gone and has said why
        elif not self._is_ending:
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
            self._candidate.discard()
        self._candidate = Child.fork(self._options, again=self._has_served, let_go=self._let_go)

    def _let_go(self) -> None:
        """Close our ends in a child: that they close tells the other children that we are gone."""
        for child in (self._serving, self._candidate):
            if child is not None:
                child.control.close()
        if self._changes is not None:
            os.close(self._changes)
        self._signals.forget()

    def _hear(self, candidate: Child) -> None:
        candidate.hear()
        if not candidate.is_loaded:
            return
        if self._serving is None:
            self._promote(candidate)
        else:
            self._serving.end()

    def _promote(self, candidate: Child) -> None:
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
        self._serving = self._candidate = None  # how they end decides nothing any more
        self._exit_code = exit_code

    def _notice_ends(self) -> None:
        candidate, serving = self._candidate, self._serving
        if candidate is not None and candidate.poll() is not None:
            self._candidate = None
            is_served = serving is not None and serving.kill_at is None
            tell("The old code goes on serving." if is_served else _WAITING)
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
            tell(f"The server has ended by itself ({_describe(exit_code)}). {_WAITING}")


def _free_port(host: str) -> int:
    """A port that nobody uses now: all children are to have the same."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _describe(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
