"""The only source of randomness and of ids.

Actor ids are 128 bits in 32 hexadecimal digits and begin with the time of their making, so
that the lowest id is the oldest actor. Within one process they ascend strictly.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

from denizen.core import clock

_ID_RANDOM_BITS = 80


class Source:
    """Random bits from the operating system; `SeededSource` repeats itself instead."""

    def token(self, size: int) -> bytes:
        return os.urandom(size)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)


class SeededSource(Source):
    """The same seed gives the same bits: for the simulator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


_source = Source()
_last_id = 0


def token(size: int) -> bytes:
    """`size` unpredictable bytes."""
    return _source.token(size)


def token_hex(size: int) -> str:
    """`size` unpredictable bytes as hexadecimal text."""
    return _source.token(size).hex()


def uniform(low: float, high: float) -> float:
    """A float between `low` and `high`: for jitter, never for secrets."""
    return _source.uniform(low, high)


def new_id() -> str:
    """A new id: 32 hexadecimal digits, ascending in this process, oldest lowest."""
    global _last_id
    drawn = int.from_bytes(_source.token(_ID_RANDOM_BITS // 8), "big")
    made = (int(clock.now() * 1000) << _ID_RANDOM_BITS) | drawn
    _last_id = made if made > _last_id else _last_id + 1
    return f"{_last_id:032x}"


@contextmanager
def use(source: Source) -> Iterator[None]:
    """Take all randomness from `source` until the block ends (the simulator's way in)."""
    global _source, _last_id
    before, _source = _source, source
    id_before, _last_id = _last_id, 0
    try:
        yield
    finally:
        _source, _last_id = before, id_before
