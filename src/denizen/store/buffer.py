"""What one transaction has written and nobody else sees yet.

Pure: no store is asked. The parts are applied in the order `ranges`, `writes`, `adds`, `stamped`;
each call below keeps them such that this gives what the calls' own order would have given.
"""

from collections import deque

from denizen.store.checks import check_size

Pair = tuple[bytes, bytes]

_INT64 = 1 << 64
_INT64_MAX = (1 << 63) - 1


def add_to(value: bytes | None, amount: int) -> bytes:
    """The little-endian signed 64-bit integer `value` (None: 0) plus `amount`, wrapping."""
    before = int.from_bytes(value[:8], "little") if value else 0
    return ((before + amount) % _INT64).to_bytes(8, "little")


class WriteBuffer:
    """The writes of one transaction, with what they cost in bytes."""

    __slots__ = ("adds", "ranges", "size_bytes", "stamped", "writes")

    def __init__(self) -> None:
        self.ranges: list[Pair] = []
        self.writes: dict[bytes, bytes | None] = {}
        """Key to new value; None clears it."""
        self.adds: dict[bytes, int] = {}
        """Amounts for keys whose value this transaction doesn't know."""
        self.stamped: list[tuple[bytes, bytes, bytes]] = []
        """Prefix, suffix and value of keys that get the commit's version between the two."""
        self.size_bytes = 0

    @property
    def is_empty(self) -> bool:
        return not (self.writes or self.ranges or self.adds or self.stamped)

    def set(self, key: bytes, value: bytes) -> None:
        self.charge(len(key) + len(value))
        self.adds.pop(key, None)
        self.writes[key] = value

    def clear(self, key: bytes) -> None:
        self.charge(len(key))
        self.adds.pop(key, None)
        self.writes[key] = None

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self.charge(len(begin) + len(end))
        self.writes = {k: v for k, v in self.writes.items() if not begin <= k < end}
        self.adds = {k: amount for k, amount in self.adds.items() if not begin <= k < end}
        self.ranges.append((begin, end))

    def add(self, key: bytes, amount: int) -> None:
        if not -_INT64_MAX - 1 <= amount <= _INT64_MAX:
            raise ValueError("The amount to add must fit a signed 64-bit integer.")
        self.charge(len(key) + 8)
        is_known, value = self.look_up(key)
        if is_known:
            self.writes[key] = add_to(value, amount)
        else:
            self.adds[key] = self.adds.get(key, 0) + amount

    def stamp(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self.charge(len(prefix) + 10 + len(suffix) + len(value))
        self.stamped.append((prefix, suffix, value))

    def charge(self, size_bytes: int) -> None:
        """Count bytes against the transaction's bound. Raises `TransactionTooLarge`."""
        check_size(self.size_bytes + size_bytes)
        self.size_bytes += size_bytes

    def look_up(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether the value is known from the writes alone, and the value."""
        if key in self.writes:
            return True, self.writes[key]
        return any(begin <= key < end for begin, end in self.ranges), None

    def overlay(self, begin: bytes, end: bytes, *, reverse: bool) -> "Overlay":
        """What these writes make of a range, frozen now."""
        known: dict[bytes, bytes | int | None] = {**self.writes, **self.adds}
        changes = {key: known[key] for key in sorted(known, reverse=reverse) if begin <= key < end}
        return Overlay(changes, tuple(self.ranges), reverse)


class Overlay:
    """Buffered writes laid over the pairs of a range, chunk by chunk in the range's direction."""

    def __init__(
        self,
        changes: dict[bytes, bytes | int | None],
        ranges: tuple[Pair, ...],
        is_reverse: bool,
    ) -> None:
        self._changes = changes
        self._keys = deque(changes)
        self._ranges = ranges
        self._is_reverse = is_reverse

    def merge(self, stored: list[Pair], *, is_last: bool) -> list[Pair]:
        """The chunk as the transaction sees it.

        `stored` goes on where the chunk before ended. Buffered keys past its last pair wait for
        the next chunk, unless this is the last.
        """
        if not self._keys and not self._ranges:
            return stored
        found = {key: value for key, value in stored if not self._is_cleared(key)}
        while self._keys and (is_last or not self._is_past(self._keys[0], stored[-1][0])):
            key = self._keys.popleft()
            change = self._changes[key]
            if isinstance(change, int):
                found[key] = add_to(found.get(key), change)
            elif change is None:
                found.pop(key, None)
            else:
                found[key] = change
        return sorted(found.items(), reverse=self._is_reverse)

    def _is_past(self, key: bytes, last: bytes) -> bool:
        return key < last if self._is_reverse else key > last

    def _is_cleared(self, key: bytes) -> bool:
        return any(begin <= key < end for begin, end in self._ranges)
