"""Values between rooms: what an action returns or emits, packed the moment it is emitted.

Neutral form: msgpack bytes of plain data (None, bool, int, float, str, bytes, datetime in UTC,
list, dict with text keys). The encodings of the client link are made from it (`wire.v1`), so an
actor's body need not know who listens, and a live object can't change between emitting and sending.
"""

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Any, Final

import msgspec

NESTING_MAX: Final = 100
"""How deep lists and dicts of a value may nest."""

_AS_IT_IS = frozenset({bool, type(None), bytes})
_KEPT = (bytes, bytearray, memoryview, datetime)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Unencodable(ValueError):
    """A value that can't travel or be stored: `path` leads to it, `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{reason} - at `{path}`")
        self.path = path
        self.reason = reason

    def inside(self, step: str) -> "Unencodable":
        """The same error as seen from one level further out, which `step` led in from."""
        return Unencodable(f"${step}{self.path[1:]}", self.reason)


def pack(value: Any) -> bytes:
    """The neutral bytes of a value for clients. Raises `Unencodable`."""
    if value is None or (type(value) is int and -(2**63) <= value < 2**64):
        return _encode(value)
    return _encode(_plain(value, 0))


def unpack(packed: bytes) -> Any:
    """Plain data again; bytes stay bytes and times stay datetimes, in UTC."""
    return _decode(packed)


def plain(value: Any) -> Any:
    """The value as plain data with text keys, checked all the way down. Raises `Unencodable`.

    Sets and tuples become lists, structs and dataclasses dicts, enums their values, other scalars
    that msgspec knows their text. `plain(value)` equals `unpack(pack(value))`.
    """
    return _plain(value, 0)


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise Unencodable("$", "an integer beyond 64 bits can't be sent")
        return value
    if kind is str:
        return value if value.isascii() else _checked_text(value)
    if kind in _AS_IT_IS:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise Unencodable("$", f"{value} isn't a number that can be sent")
        return value
    if depth >= NESTING_MAX:
        raise Unencodable("$", f"it is nested more than {NESTING_MAX} levels deep")
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return _plain_items(value, depth + 1)
    if kind is dict:
        return _plain_entries(value, depth + 1)
    return _plain_object(value, depth)


def _plain_items(items: Iterable[Any], depth: int) -> list[Any]:
    found: list[Any] = []
    try:
        for item in items:
            found.append(_plain(item, depth))
    except Unencodable as error:
        raise error.inside(f"[{len(found)}]") from None
    return found


def _plain_entries(entries: dict[Any, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in entries.items():
        name = key if type(key) is str and key.isascii() else _text_key(key)
        if name in found:
            raise Unencodable("$", f"two keys become the same text {name!r}")
        try:
            found[name] = _plain(item, depth)
        except Unencodable as error:
            raise error.inside(f".{name}") from None
    return found


def _plain_object(value: Any, depth: int) -> Any:
    """A value of any other type, lowered by msgspec and then looked at again."""
    if isinstance(value, datetime):
        return _plain_time(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, date | time | timedelta):
        return msgspec.to_builtins(value)
    try:
        lowered = msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_lower)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unencodable("$", str(error) or type(error).__name__) from None
    # What was a scalar in disguise costs no level, nor does a struct that is a dict now.
    return _plain(lowered, depth)


def _lower(value: Any) -> Any:
    """For msgspec, what it doesn't know: the value of a subclass of a plain type."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, datetime):
        return _plain_time(value)
    raise TypeError(f"a {type(value).__qualname__} can't be sent")


def _plain_time(value: datetime) -> datetime | str:
    if value.tzinfo is None:
        # A time without a zone can't be told apart from text by msgpack: it becomes text here.
        return value.isoformat()
    try:
        utc = value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise Unencodable("$", "a time outside the years 1 to 9999 can't be sent") from None
    return utc if type(utc) is datetime else datetime.combine(utc.date(), utc.time(), UTC)


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unencodable("$", "text with half a surrogate pair can't be sent") from None
    return text


def _text_key(key: Any) -> str:
    value = key.value if isinstance(key, Enum) else key
    if isinstance(value, str):
        return _checked_text(str.__str__(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        # Only numbers that could be sent have a text: a longer one may take forever to write.
        return repr(_plain(value + 0, 0))
    try:
        lowered = msgspec.to_builtins(value)
    except (TypeError, ValueError):
        lowered = None
    if type(lowered) is str:
        return lowered
    raise Unencodable("$", f"a key of type {type(key).__qualname__} can't be sent")
