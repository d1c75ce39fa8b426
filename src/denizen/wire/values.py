"""Values between rooms: what an action returns or emits, packed the moment it is emitted.

Neutral form: msgpack bytes of plain data (None, bool, int, float, str, bytes, datetime, list, dict
with text keys). The encodings of the client link are made from it (`wire.v1`), so an actor's body
need not know who listens, and a live object can never change between emitting and sending.
"""

import math
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

_SAFE_SCALARS = frozenset({int, str, bool, type(None), bytes})
_KEPT = (bytes, datetime)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Unencodable(ValueError):
    """A value that can't travel or be stored: `path` leads to it, `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{reason} - at `{path}`")
        self.path = path
        self.reason = reason


def pack(value: Any) -> bytes:
    """The neutral bytes of a value for clients. Raises `Unencodable`."""
    if type(value) in _SAFE_SCALARS:
        try:
            return _encode(value)
        except OverflowError:
            raise Unencodable("$", "an integer beyond 64 bits can't be sent") from None
    return _encode(plain(value))


def unpack(packed: bytes) -> Any:
    """Plain data again; bytes stay bytes and times stay datetimes."""
    return _decode(packed)


def plain(value: Any) -> Any:
    """The value as plain data with text keys, checked all the way down. Raises `Unencodable`."""
    return _plain(value, "$", 0)


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is bytes:
        return value
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise Unencodable(path, "an integer beyond 64 bits can't be sent")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise Unencodable(path, f"{value} isn't a number that can be sent")
        return value
    if depth > 100:
        raise Unencodable(path, "it is nested more than 100 levels deep")
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return [_plain(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value)]
    if kind is dict:
        return {
            _text_key(key, path): _plain(item, f"{path}.{key}", depth + 1)
            for key, item in value.items()
        }
    return _plain_object(value, path, depth)


def _plain_object(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, datetime):
        # A time without a zone can't be told apart from text by msgpack: it becomes text here.
        return value if value.tzinfo is not None else value.isoformat()
    if isinstance(value, date | time | timedelta):
        return msgspec.to_builtins(value)
    try:
        lowered = msgspec.to_builtins(value, builtin_types=_KEPT)
    except (TypeError, msgspec.ValidationError, RecursionError) as error:
        raise Unencodable(path, str(error) or type(error).__name__) from None
    except ValueError as error:
        raise Unencodable(path, str(error)) from None
    return _plain(lowered, path, depth + 1)


def _text_key(key: Any, path: str) -> str:
    if type(key) is str:
        return key
    if type(key) in (int, bool, float):
        return str(msgspec.to_builtins(key))
    lowered = msgspec.to_builtins(key)
    if type(lowered) is str:
        return lowered
    raise Unencodable(path, f"a key of type {type(key).__name__} can't be sent")
