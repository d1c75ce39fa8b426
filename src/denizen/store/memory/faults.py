"""What goes wrong in a memory store, how often, and how long things take."""

import msgspec

from denizen.core import entropy

Seconds = tuple[float, float]
"""From and to; each is drawn between the two."""


class Faults(msgspec.Struct):
    """May be changed while the store is in use. Probabilities are for each request.

    An unknown outcome is one of three with the same chance: the request was applied, it was lost,
    or it is applied late, after the answer.
    """

    conflict: float = 0.0
    unknown: float = 0.0
    unavailable: float = 0.0
    read_s: Seconds = (0.0, 0.0)
    flush_s: Seconds = (0.0, 0.0)
    no_sync: bool = False
    """Acknowledge before the flush has ended. For tests that prove that loss is noticed."""


class Dice:
    """Draws faults from a source of randomness; what can't happen draws nothing."""

    def __init__(self, faults: Faults, source: entropy.Source) -> None:
        self.faults = faults
        self._source = source

    def throws(self, probability: float) -> bool:
        return probability > 0 and self._source.uniform(0, 1) < probability

    def seconds(self, span: Seconds) -> float:
        low, high = span
        return self._source.uniform(low, high) if high > low else low

    def one_of(self, count: int) -> int:
        return min(count - 1, int(self._source.uniform(0, count)))
