"""A commit as a guarded batch of the store: what it checks, what it writes."""

from functools import lru_cache

import msgspec

from denizen.state import layout
from denizen.store.contract import Batch, Guard
from denizen.wire.commits import LARGE_BYTES_MIN, Commit, Head, Record

encode_head = msgspec.msgpack.Encoder().encode
decode_head = msgspec.msgpack.Decoder(Head).decode
encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


@lru_cache(maxsize=1_024)
def _keys(namespace: str, actor_id: str) -> tuple[bytes, bytes]:
    prefix = layout.actor_prefix(namespace, actor_id)
    return prefix, layout.head_key(prefix)


# Keys are kept whole: what is made once is also hashed once, for all the maps that a commit passes.
_field_key = lru_cache(maxsize=2_048)(layout.field_key)


def batch_of(commit: Commit) -> Batch:
    """The batch of a commit: guarded by the head that it follows, marked by the one it writes.

    So a stale generation is refused, and the same commit sent twice is applied once.
    """
    prefix, head_key = _keys(commit.namespace, commit.actor_id)
    before = commit.follows
    marker = (head_key, encode_head(commit.head))
    guard = Guard(head_key, None if before is None else encode_head(before))
    sets = [marker]
    if commit.creates is None and commit.destroys is None and _set_small(commit, prefix, sets):
        # Most commits.
        return Batch((guard,), tuple(sets), (), (), marker)
    sets = [marker]
    guards = [guard]
    clears: list[bytes] = []
    ranges: list[tuple[bytes, bytes]] = []
    if commit.destroys is None:
        _write_fields(commit, prefix, sets, clears, ranges)
        if commit.creates is not None:
            _write_creation(commit.creates, prefix, sets, guards)
    elif commit.creates is None:
        _write_end(commit.destroys, sets, clears)
    # Else it came and went within one commit: its head remains, so that its id has an answer.
    return Batch(tuple(guards), tuple(sets), tuple(clears), tuple(ranges), marker)


def size_of(batch: Batch) -> int:
    """How much a batch adds to its group."""
    size = 0
    for key, value in batch.sets:
        size += len(key) + len(value)
    return size


def _set_small(commit: Commit, prefix: bytes, sets: list[tuple[bytes, bytes]]) -> bool:
    """Add the rows of a commit that only sets small fields; False if it does more."""
    if commit.follows is not None and commit.follows.large:
        return False
    for field, data in commit.changes.items():
        if data is None or len(data) >= LARGE_BYTES_MIN:
            return False
        sets.append((_field_key(prefix, field), data))
    return True


def _write_fields(
    commit: Commit,
    prefix: bytes,
    sets: list[tuple[bytes, bytes]],
    clears: list[bytes],
    ranges: list[tuple[bytes, bytes]],
) -> None:
    were_large = () if commit.follows is None else commit.follows.large
    for field, data in commit.changes.items():
        key = _field_key(prefix, field)
        if field in were_large:
            ranges.append(layout.chunks_range(prefix, field))
        if data is None:
            clears.append(key)
        elif len(data) < LARGE_BYTES_MIN:
            sets.append((key, data))
        else:
            clears.append(key)
            for number, begin in enumerate(range(0, len(data), LARGE_BYTES_MIN)):
                chunk = data[begin : begin + LARGE_BYTES_MIN]
                sets.append((layout.chunk_key(prefix, field, number), chunk))


def _write_creation(
    record: Record, prefix: bytes, sets: list[tuple[bytes, bytes]], guards: list[Guard]
) -> None:
    sets.append((layout.record_key(prefix), encode_record(record)))
    if record.has_address:
        address = layout.address_key(record.namespace, record.type, record.key)
        guards.append(Guard(address, None))
        sets.append((address, record.actor_id.encode()))
    for key, value in record.tags.items():
        sets.append((layout.tag_key(record.namespace, key, value, record.actor_id), b""))


def _write_end(record: Record, sets: list[tuple[bytes, bytes]], clears: list[bytes]) -> None:
    """A tombstone now; the rows go in slices later."""
    sets.append((layout.trash_key(record.namespace, record.actor_id), b""))
    if record.has_address:
        clears.append(layout.address_key(record.namespace, record.type, record.key))
    for key, value in record.tags.items():
        clears.append(layout.tag_key(record.namespace, key, value, record.actor_id))
