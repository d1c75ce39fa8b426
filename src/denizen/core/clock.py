"""The only source of time.

Two readings: `now()` is the wall clock (seconds since the epoch), for people and records;
`monotonic()` never goes back and is for deadlines and durations. Waiting is the event loop's
business; a simulated loop and a simulated source are installed together.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Source(Protocol):
    """Where both readings come from."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


now: Callable[[], float] = time.time
"""Wall time in seconds since the epoch. Always `clock.now()`: never import the name itself."""

monotonic: Callable[[], float] = time.monotonic
"""Seconds on a clock that never goes back; its zero means nothing. Always `clock.monotonic()`."""


def utc() -> datetime:
    """Wall time as an aware datetime."""
    return datetime.fromtimestamp(now(), UTC)


@contextmanager
def use(source: Source) -> Iterator[None]:
    """Take all time from `source` until the block ends (the simulator's way in)."""
    global now, monotonic
    before = now, monotonic
    now, monotonic = source.now, source.monotonic
    try:
        yield
    finally:
        now, monotonic = before
