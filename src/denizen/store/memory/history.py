"""An ordered map that can be read as of an earlier version. Pure; used by one thread."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from denizen.store.buffer import Pair
from denizen.store.checks import KEYS_END
from denizen.store.recent import Range

Entry = tuple[int, bytes | None]


class History:
    """Keys in order, each with its values by ascending version."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._entries: dict[bytes, list[Entry]] = {}
        self._written: deque[tuple[int, float, list[bytes]]] = deque()

    def get(self, key: bytes, version: int) -> bytes | None:
        for written_at, value in reversed(self._entries.get(key, ())):
            if written_at <= version:
                return value
        return None

    def chunk(
        self, begin: bytes, end: bytes, limit: int, version: int, *, reverse: bool
    ) -> tuple[list[Pair], bool]:
        """At most `limit` pairs of the range as of a version, and whether those are all."""
        found: list[Pair] = []
        for key in self._keys_between(begin, end, reverse=reverse):
            value = self.get(key, version)
            if value is None:
                continue
            if len(found) == limit:
                return found, False
            found.append((key, value))
        return found, True

    def write(
        self,
        version: int,
        at: float,
        writes: Mapping[bytes, bytes | None],
        ranges: Sequence[Range],
    ) -> None:
        """Clear the ranges, then write, as of a version higher than any before."""
        changes: dict[bytes, bytes | None] = {}
        for begin, end in ranges:
            changes.update(dict.fromkeys(self._keys_between(begin, end)))
        changes.update(writes)
        for key, value in changes.items():
            entries = self._entries.get(key)
            if entries is None:
                entries = self._entries[key] = []
                insort(self._keys, key)
            entries.append((version, value))
        self._written.append((version, at, list(changes)))

    def rewind(self, version: int) -> None:
        """Undo everything that was written after a version."""
        while self._written and self._written[-1][0] > version:
            for key in self._written.pop()[2]:
                entries = self._entries[key]
                entries.pop()
                if not entries:
                    self._drop(key)

    def forget(self, before: float, durable_version: int) -> None:
        """Let go of values that were overwritten before a time; no version is read from then."""
        while self._written and self._written[0][1] < before:
            version, _, keys = self._written[0]
            if version > durable_version:
                return
            self._written.popleft()
            for key in keys:
                self._forget_key(key, version)

    def sizes(self, version: int) -> tuple[int, int]:
        """How many keys there are, and the bytes of keys and values (of users' keys)."""
        values = [(key, self.get(key, version)) for key in self._keys if key < KEYS_END]
        held = [len(key) + len(value) for key, value in values if value is not None]
        return len(held), sum(held)

    def _keys_between(self, begin: bytes, end: bytes, *, reverse: bool = False) -> Iterator[bytes]:
        first, last = bisect_left(self._keys, begin), bisect_left(self._keys, end)
        places = range(last - 1, first - 1, -1) if reverse else range(first, last)
        return (self._keys[place] for place in places)

    def _forget_key(self, key: bytes, version: int) -> None:
        entries = self._entries.get(key)
        if entries is None:
            return
        while len(entries) > 1 and entries[1][0] <= version:
            del entries[0]
        if entries == [(version, None)]:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        del self._entries[key]
        del self._keys[bisect_left(self._keys, key)]
