"""Deadlines of many things with one timer.

Things with the same timeout expire in the order in which they came, so each timeout has a queue and only the
heads of the queues are looked at. Adding and removing cost a dictionary entry: who adds keeps the queue,
and takes the thing out of it.
"""

import asyncio
from typing import Protocol

from denizen.core import clock


class Expiring(Protocol):
    """What has a deadline."""

    def expire(self) -> None:
        """The deadline has passed. Must not raise."""
        ...


Queue = dict[Expiring, float]
"""Things with the same timeout and when each expires, the soonest first."""


class Deadlines:
    """All deadlines of a host."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queues: dict[float, Queue] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def add(self, thing: Expiring, timeout_s: float) -> Queue:
        """Call `thing.expire()` after `timeout_s`, unless it is taken out of the queue before."""
        at = clock.monotonic() + timeout_s
        queue = self._queues.get(timeout_s)
        if queue is None:
            queue = self._queues[timeout_s] = {}
        queue[thing] = at
        if self._timer is None or at < self._timer_at:
            self._arm_for(at)
        return queue

    def stop(self) -> None:
        """Expire nothing any more."""
        self._queues.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm_for(self, at: float) -> None:
        """See to it that the timer fires at `at` or before."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - clock.monotonic()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = clock.monotonic()
        soonest: float | None = None
        for timeout_s in list(self._queues):
            queue = self._queues[timeout_s]
            expired = []
            for thing, at in queue.items():
                if at > now:
                    soonest = at if soonest is None else min(soonest, at)
                    break
                expired.append(thing)
            for thing in expired:
                queue.pop(thing, None)
                thing.expire()
            if not queue:
                # A deadline computed from what remained of another is rarely seen twice.
                self._queues.pop(timeout_s, None)
        if soonest is not None:
            self._arm_for(soonest)
