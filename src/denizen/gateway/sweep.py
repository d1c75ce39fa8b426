"""Deadlines of many connections from one timer.

A timer for each connection and request would cost more than what it guards. So everything that
has deadlines is visited in turn, and a deadline is met up to one round late.
"""

import asyncio
from typing import Protocol

from denizen.core import clock
from denizen.telemetry import logs

_log = logs.get("gateway")


class Swept(Protocol):
    """Something with deadlines."""

    def sweep(self, now: float) -> None:
        """Look whether a deadline has passed; `now` is the monotonic clock's reading."""
        ...


class Sweep:
    """Visits every member once in `round_s`, a share of them at each of `shares` ticks."""

    def __init__(self, round_s: float, shares: int = 1) -> None:
        self._tick_s = round_s / shares
        self._shares: list[set[Swept]] = [set() for _ in range(shares)]
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._shares))

    def add(self, member: Swept) -> None:
        self._share_of(member).add(member)

    def discard(self, member: Swept) -> None:
        self._share_of(member).discard(member)

    def members(self) -> list[Swept]:
        return [member for share in self._shares for member in share]

    def start(self) -> None:
        """Begin to tick on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self.start()
        now = clock.monotonic()
        share, self._next = self._shares[self._next], (self._next + 1) % len(self._shares)
        for member in tuple(share):
            try:
                member.sweep(now)
            except Exception:
                _log.exception("a deadline couldn't be looked after")

    def _share_of(self, member: Swept) -> set[Swept]:
        # Objects lie at multiples of 16 bytes, so the low bits of an id say nothing.
        return self._shares[(id(member) >> 6) % len(self._shares)]
