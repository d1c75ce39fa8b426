"""The only source of time.

Two readings: `now()` is the wall clock (seconds since the epoch), for people and records;
`monotonic()` never goes back and is for deadlines and durations. Waiting is the event loop's
business; a simulated loop and a simulated source are installed together.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Source(Protocol):
    """Where both readings come from."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemSource:
    """The machine's own clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


_source: Source = SystemSource()


def now() -> float:
    """Wall time in seconds since the epoch."""
    return _source.now()


def monotonic() -> float:
    """Seconds on a clock that never goes back; its zero means nothing."""
    return _source.monotonic()


def utc() -> datetime:
    """Wall time as an aware datetime."""
    return datetime.fromtimestamp(_source.now(), UTC)


@contextmanager
def use(source: Source) -> Iterator[None]:
    """Take all time from `source` until the block ends (the simulator's way in)."""
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
