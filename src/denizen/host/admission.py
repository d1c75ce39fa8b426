"""What may run beside what: a machine without I/O.

An actor's activities (calls, hooks, HTTP requests) arrive in order. Parallel ones run together; an
exclusive one runs alone.

- A1 While an exclusive activity runs, nothing else that was admitted runs.
- A2 What arrives after a waiting exclusive activity waits behind it: nobody is overtaken for ever.
- A3 Activities start in the order in which they arrived.

A new machine is closed, as if an exclusive activity ran: the actor's start is one, and `finish` opens it.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Admission(Generic[T]):
    """Which activities run, and which wait."""

    __slots__ = ("_exclusive_runs", "_running", "_waiting")

    def __init__(self) -> None:
        self._running = 0
        self._exclusive_runs = True
        self._waiting: deque[tuple[T, bool]] | None = None

    @property
    def running(self) -> int:
        """How many activities run now."""
        return self._running + self._exclusive_runs

    def must_wait(self, is_exclusive: bool) -> bool:
        """Whether an activity that arrived now would have to wait."""
        return self._exclusive_runs or bool(self._waiting) or (is_exclusive and self._running > 0)

    def arrive(self, item: T, is_exclusive: bool) -> bool:
        """An activity arrives: True if it starts now, False if it waits."""
        if self._exclusive_runs or self._waiting or (is_exclusive and self._running):
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append((item, is_exclusive))
            return False
        if is_exclusive:
            self._exclusive_runs = True
        else:
            self._running += 1
        return True

    def finish(self, is_exclusive: bool) -> list[T]:
        """A running activity ended: those that start now, in order."""
        if is_exclusive:
            self._exclusive_runs = False
        else:
            self._running -= 1
        return self._admit_waiting() if self._waiting else []

    def withdraw(self, item: T) -> list[T] | None:
        """Take back one that waits: those that start because of it; None if it doesn't wait."""
        for at, (waiting, _) in enumerate(self._waiting or ()):
            if waiting is item:
                assert self._waiting is not None
                del self._waiting[at]
                return self._admit_waiting()
        return None

    def _admit_waiting(self) -> list[T]:
        started: list[T] = []
        waiting = self._waiting
        while waiting and not self._exclusive_runs:
            item, is_exclusive = waiting[0]
            if is_exclusive and self._running:
                break
            waiting.popleft()
            started.append(item)
            if is_exclusive:
                self._exclusive_runs = True
            else:
                self._running += 1
        if not waiting:
            self._waiting = None
        return started
