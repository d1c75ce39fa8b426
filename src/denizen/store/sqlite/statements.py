"""The SQL of the driver. Few texts, so that each stays prepared.

Texts with many rows exist for counts that are powers of two; a smaller number of rows is filled up
by repeating the last one, which changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain

CREATE = "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID"
GET = "SELECT v FROM kv WHERE k = ?"
RANGE = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"
RANGE_REVERSE = "SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT ?"
CLEAR_RANGE = "DELETE FROM kv WHERE k >= ? AND k < ? RETURNING k"
SIZES = "SELECT count(*), coalesce(sum(length(k) + length(v)), 0) FROM kv WHERE k < x'ff'"

ROWS_MAX = 2_048
"""SQLite takes 32,766 parameters, and apsw keeps statements of up to 16 KiB prepared."""

Statement = tuple[str, Sequence[bytes]]


def upserts(pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[Statement]:
    """Statements that set all pairs; one for up to `ROWS_MAX`."""
    for first in range(0, len(pairs), ROWS_MAX):
        part = pairs[first : first + ROWS_MAX]
        count = _padded(len(part))
        values = list(chain.from_iterable(part))
        values.extend(part[-1] * (count - len(part)))
        yield _upsert(count), values


def deletes(keys: Sequence[bytes]) -> Iterator[Statement]:
    """Statements that delete all keys."""
    return _by_keys(_delete, keys)


def gets(keys: Sequence[bytes]) -> Iterator[Statement]:
    """Statements that select the pairs of all keys that are there."""
    return _by_keys(_get_many, keys)


def _padded(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _by_keys(text: Callable[[int], str], keys: Sequence[bytes]) -> Iterator[Statement]:
    for first in range(0, len(keys), ROWS_MAX):
        part = list(keys[first : first + ROWS_MAX])
        count = _padded(len(part))
        part.extend(part[-1:] * (count - len(part)))
        yield text(count), part


@lru_cache(maxsize=16)
def _upsert(count: int) -> str:
    rows = ",".join(["(?,?)"] * count)
    return f"INSERT INTO kv VALUES {rows} ON CONFLICT(k) DO UPDATE SET v=excluded.v"


@lru_cache(maxsize=16)
def _delete(count: int) -> str:
    return f"DELETE FROM kv WHERE k IN ({_marks(count)})"


@lru_cache(maxsize=16)
def _get_many(count: int) -> str:
    return f"SELECT k, v FROM kv WHERE k IN ({_marks(count)})"


def _marks(count: int) -> str:
    return ",".join("?" * count)
