"""Which keys were written lately, and at which version: how optimistic transactions are judged.

Pure and bounded, by age and by number of keys. Used by one thread at a time. A transaction that
read at a version before everything that is remembered can't be judged: it is too old.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

Range = tuple[bytes, bytes]

KEYS_MAX = 200_000
AGE_MAX_S = 6.0


class _Group(NamedTuple):
    version: int
    at: float
    keys: AbstractSet[bytes]
    ranges: Sequence[Range]


class RecentWrites:
    """The written keys and ranges of recent groups; versions ascend."""

    def __init__(
        self, version: int, *, keys_max: int = KEYS_MAX, age_max_s: float = AGE_MAX_S
    ) -> None:
        self.floor = version
        """The oldest version at which a transaction may have read."""
        self._keys_max = keys_max
        self._age_max_s = age_max_s
        self._groups: deque[_Group] = deque()
        self._count = 0

    def record(
        self, version: int, at: float, keys: AbstractSet[bytes], ranges: Sequence[Range]
    ) -> None:
        """Remember what a group wrote; forget what is too old or too much."""
        # No index of keys over all groups: each group would pay for it, and only a transaction that
        # has read asks, about the few groups since it began.
        self._groups.append(_Group(version, at, keys, ranges))
        self._count += len(keys) + len(ranges)
        while self._groups and (
            self._count > self._keys_max or self._groups[0].at < at - self._age_max_s
        ):
            self._forget(self._groups.popleft())

    def was_written(self, key: bytes, since: int) -> bool:
        """Whether the key was written after version `since`."""
        return any(
            key in group.keys or any(begin <= key < end for begin, end in group.ranges)
            for group in self._after(since)
        )

    def was_range_written(self, begin: bytes, end: bytes, since: int) -> bool:
        """Whether a key of the range was written after version `since`."""
        return any(touches(begin, end, group.keys, group.ranges) for group in self._after(since))

    def _after(self, version: int) -> Iterable[_Group]:
        for group in reversed(self._groups):
            if group.version <= version:
                return
            yield group

    def _forget(self, group: _Group) -> None:
        self.floor = group.version
        self._count -= len(group.keys) + len(group.ranges)


def touches(begin: bytes, end: bytes, keys: Iterable[bytes], ranges: Iterable[Range]) -> bool:
    """Whether one of the keys or ranges meets the range."""
    return any(begin <= key < end for key in keys) or any(
        max(begin, other) < min(end, other_end) for other, other_end in ranges
    )
