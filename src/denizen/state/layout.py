"""Every storage key of an actor, in one place.

The namespace comes first (but for the trash), then what spreads: the actor's id. All that an actor owns
lies between `(namespace, "actor", id)` and its end, so one range read starts it.

    (ns, "actor", id, "head")            Head: fence, order, idempotency marker. Never cleared: a tombstone
    (ns, "actor", id, "record")          Record: type, key, tags, creation
    (ns, "actor", id, "state", field)    one field, encoded
    (ns, "actor", id, "large", field, n) one field of 90,000 B and more, in chunks
    (ns, "address", type, *key)          the id of the actor at that address
    (ns, "tag", key, value, id)          an actor that has this tag
    ("trash", ns, id)                    a destroyed actor whose rows are yet to be cleared
"""

from collections.abc import Iterable

from denizen.core.keys import pack, range_of, unpack

_ACTOR = "actor"
_HEAD = pack(("head",))
_RECORD = pack(("record",))
_STATE = "state"
_LARGE = "large"
_TRASH = "trash"


def actor_prefix(namespace: str, actor_id: str) -> bytes:
    """What all keys of an actor begin with."""
    return pack((namespace, _ACTOR, actor_id))


def actor_range(namespace: str, actor_id: str) -> tuple[bytes, bytes]:
    """Begin and end of all that an actor owns."""
    return range_of((namespace, _ACTOR, actor_id))


def head_key(prefix: bytes) -> bytes:
    return prefix + _HEAD


def record_key(prefix: bytes) -> bytes:
    return prefix + _RECORD


def field_key(prefix: bytes, field: str) -> bytes:
    return prefix + pack((_STATE, field))


def chunk_key(prefix: bytes, field: str, number: int) -> bytes:
    return prefix + pack((_LARGE, field, number))


def chunks_range(prefix: bytes, field: str) -> tuple[bytes, bytes]:
    """Begin and end of a large field's chunks."""
    begin, end = range_of((_LARGE, field))
    return prefix + begin, prefix + end


def owned_part(prefix: bytes, key: bytes) -> tuple[object, ...]:
    """What of an actor a key is: ("head",), ("state", field), ("large", field, n), …"""
    return unpack(key[len(prefix) :])


def address_key(namespace: str, type_name: str, key: Iterable[str]) -> bytes:
    return pack((namespace, "address", type_name, *key))


def tag_key(namespace: str, key: str, value: str, actor_id: str) -> bytes:
    return pack((namespace, "tag", key, value, actor_id))


def tag_range(namespace: str, key: str, value: str) -> tuple[bytes, bytes]:
    """Begin and end of all actors that have a tag, the oldest first."""
    return range_of((namespace, "tag", key, value))


def trash_key(namespace: str, actor_id: str) -> bytes:
    # Not behind a namespace: one sweeper serves all of them.
    return pack((_TRASH, namespace, actor_id))


def trash_range() -> tuple[bytes, bytes]:
    return range_of((_TRASH,))


def trash_of(key: bytes) -> tuple[str, str]:
    """Namespace and id of a trash row."""
    _, namespace, actor_id = unpack(key)
    return namespace, actor_id
