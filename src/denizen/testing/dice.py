"""Chance in a simulated world: everything is drawn here, from streams made of the seed.

Each part of a world has a stream of its own, so that one more draw in one part doesn't change the rest.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from denizen.core.entropy import SeededSource

T = TypeVar("T")

Seconds = tuple[float, float]
"""From and to; drawn evenly between the two."""


class Dice:
    """One stream. `Dice(seed, "network")` always draws the same."""

    def __init__(self, seed: int, part: str) -> None:
        name = hashlib.sha256(f"{seed}/{part}".encode()).digest()
        self.source = SeededSource(int.from_bytes(name, "big"))

    def throws(self, probability: float) -> bool:
        """True with that probability."""
        return self.source.uniform(0, 1) < probability

    def seconds(self, span: Seconds) -> float:
        """A duration within the span."""
        return self.source.uniform(*span)

    def below(self, count: int) -> int:
        """A whole number from 0 up to `count`, exclusive."""
        return min(count - 1, int(self.source.uniform(0, count)))

    def pick(self, things: Sequence[T]) -> T:
        """One of them."""
        return things[self.below(len(things))]

    def some(self, things: Sequence[T]) -> list[T]:
        """About half of them, in their order; never none."""
        return [thing for thing in things if self.throws(0.5)] or [self.pick(things)]
