"""CBOR out: plain values as a v1 client reads them, which is as JSON would have said them.

Integers that its decoder would make a BigInt of go as floats while a float says them exactly. Times
are RFC 3339 text. No tags, no `undefined`, no indefinite lengths; floats are always 64 bits wide.
"""

import struct
from datetime import datetime
from typing import Any

import msgspec

EXACT_MAX = 2**53
"""Up to here, on both sides of zero, a float64 holds every integer."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_HEADS = [bytes((head,)) for head in range(256)]
_WIDE = (
    (2**8, struct.Struct(">BB").pack, 24),
    (2**16, struct.Struct(">BH").pack, 25),
    (2**32, struct.Struct(">BI").pack, 26),
    (2**64, struct.Struct(">BQ").pack, 27),
)
_CONSTANTS = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}
_pack_double = struct.Struct(">Bd").pack


def encode(value: Any) -> bytes:
    """The CBOR of a plain value (see `wire.values.plain`)."""
    kind = type(value)
    if kind is int:
        return encode_integer(value)
    if kind is str:
        return encode_text(value)
    if kind is bool or value is None:
        return _CONSTANTS[value]
    out = bytearray()
    _put(out, value)
    return bytes(out)


def encode_integer(value: int) -> bytes:
    """An integer of 64 bits as a JavaScript client reads it as a number, where it can."""
    if 0 <= value < 24:
        return _HEADS[value]
    if 0 <= value < 2**32:
        return head(_UNSIGNED, value)
    if -(2**31) <= value < 0 or not -EXACT_MAX <= value <= EXACT_MAX:
        return head(_UNSIGNED, value) if value >= 0 else head(_NEGATIVE, -1 - value)
    return _pack_double(0xFB, value)


def encode_text(text: str) -> bytes:
    """A text item."""
    data = text.encode()
    size = len(data)
    return (_HEADS[_TEXT + size] if size < 24 else head(_TEXT, size)) + data


def head(major: int, argument: int) -> bytes:
    """An item's head in its shortest form."""
    if argument < 24:
        return _HEADS[major + argument]
    for limit, pack, low in _WIDE:
        if argument < limit:
            return pack(major + low, argument)
    raise OverflowError("a CBOR head holds 64 bits")


def _put(out: bytearray, value: Any) -> None:
    kind = type(value)
    if kind is str:
        out += encode_text(value)
    elif kind is int:
        out += encode_integer(value)
    elif kind is bool or value is None:
        out += _CONSTANTS[value]
    elif kind is float:
        out += _pack_double(0xFB, value)
    elif kind is dict:
        out += head(_MAP, len(value))
        for key, item in value.items():
            out += encode_text(key)
            _put(out, item)
    elif kind is list:
        out += head(_ARRAY, len(value))
        for item in value:
            _put(out, item)
    elif kind is bytes:
        out += head(_BYTES, len(value)) + value
    elif kind is datetime:
        out += encode_text(msgspec.to_builtins(value))
    else:
        raise TypeError(f"a {kind.__name__} isn't a plain value")
