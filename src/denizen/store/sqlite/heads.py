"""What guarded keys hold, kept in memory: bounded, and read where it isn't known.

Belongs to the writer's thread. It is right because every write passes that thread.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping

import apsw

from denizen.store.sqlite import statements

KEYS_MAX = 4_096
VALUE_BYTES_MAX = 1_024


class Heads:
    """Current values by key; None is known to be absent."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[bytes, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def load(self, keys: Iterable[bytes]) -> Callable[[bytes], bytes | None]:
        """Look up those of the keys that aren't known, at once; returns a reader for this group."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if missing:
            self._make_room(len(missing))
            loaded: dict[bytes, bytes | None] = dict.fromkeys(missing)
            for text, values in statements.gets(missing):
                loaded.update(self._connection.execute(text, values))
            self._known.update(
                (key, value)
                for key, value in loaded.items()
                if value is None or len(value) <= VALUE_BYTES_MAX
            )
        return self.read

    def read(self, key: bytes) -> bytes | None:
        """What the key holds."""
        if key in self._known:
            return self._known[key]
        value: bytes | None = self._connection.execute(statements.GET, (key,)).get
        return value

    def drop(self, key: bytes) -> None:
        """The key is being cleared along with a range."""
        self._known.pop(key, None)

    def apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        """A group is durable: follow what it wrote."""
        known = self._known
        for key in known.keys() & writes.keys():
            value = writes[key]
            if value is None or len(value) <= VALUE_BYTES_MAX:
                known[key] = value
            else:
                del known[key]

    def forget(self) -> None:
        """After a failure nothing is taken for known."""
        self._known.clear()

    def _make_room(self, count: int) -> None:
        """Forget the half that was looked up first; half at a time, so that it rarely happens."""
        known = self._known
        if len(known) + count > KEYS_MAX:
            kept = max(0, min(len(known) // 2, KEYS_MAX - count))
            self._known = dict(itertools.islice(known.items(), len(known) - kept, None))
