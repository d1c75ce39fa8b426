"""Ordered tuple keys: tuples packed into bytes whose order is the order of the tuples.

The layout is the field's common one (FoundationDB's tuple layer), so that keys read the same in
its own tools: a type code a value, text and bytes ended by 00 with inner 00 as 00 FF, integers by
length and sign, floats with the sign turned, nested tuples ended by 00 with inner None as 00 FF.
Order across types: None < bytes < str < tuple < int < float < bool < uuid < versionstamp.
"""

import struct
from typing import Any
from uuid import UUID

import msgspec

NESTING_MAX = 64
"""How deep tuples in a key may be nested."""

_INT_ZERO = 0x14
_DOUBLE = struct.Struct(">d")


class Versionstamp(msgspec.Struct, frozen=True, order=True):
    """A place in the order of commits: 10 bytes from the store and 2 of the user's.

    `committed` is None until the store has filled it in.
    """

    committed: bytes | None = None
    user: int = 0

    def to_bytes(self) -> bytes:
        """12 bytes. Raises `ValueError` if a part has the wrong size."""
        committed = b"\xff" * 10 if self.committed is None else self.committed
        if len(committed) != 10 or not 0 <= self.user <= 0xFFFF:
            raise ValueError("A versionstamp has 10 bytes and a number from 0 to 65,535.")
        return committed + self.user.to_bytes(2, "big")


Key = tuple[Any, ...]


def pack(key: Key) -> bytes:
    """The bytes of a tuple.

    Raises `TypeError` for a value that no key can hold, `ValueError` for tuples nested too deep.
    """
    return _pack(key)[0]


def pack_with_versionstamp(key: Key) -> tuple[bytes, int]:
    """The bytes of a tuple holding one incomplete versionstamp, and where its 10 bytes stand.

    Raises `ValueError` if it holds none or several.
    """
    packed, places = _pack(key)
    if not places:
        raise ValueError("The key holds no incomplete versionstamp.")
    if len(places) > 1:
        raise ValueError("A key holds at most one incomplete versionstamp.")
    return packed, places[0]


def unpack(data: bytes) -> Key:
    """The tuple that `pack` made bytes of. Raises `ValueError` where it didn't."""
    items = []
    at = 0
    while at < len(data):
        item, at = _unpack_item(data, at)
        items.append(item)
    return tuple(items)


def range_of(prefix: Key) -> tuple[bytes, bytes]:
    """Begin and end (exclusive) of all keys that extend the tuple `prefix`, without itself."""
    packed = pack(prefix)
    return packed + b"\x00", packed + b"\xff"


def after(key: bytes) -> bytes:
    """The first key that is greater."""
    return key + b"\x00"


def prefix_end(prefix: bytes) -> bytes:
    """The first key that doesn't begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    if not stem:
        raise ValueError("Every key begins with that prefix.")
    return stem[:-1] + bytes([stem[-1] + 1])


def _pack(key: Key) -> tuple[bytes, list[int]]:
    """The bytes of a tuple, and where incomplete versionstamps stand."""
    out = bytearray()
    places: list[int] = []
    for item in key:
        _pack_item(item, out, places, depth=0)
    return bytes(out), places


def _pack_item(item: Any, out: bytearray, places: list[int], *, depth: int) -> None:
    kind = type(item)
    if item is None:
        out += b"\x00\xff" if depth else b"\x00"
    elif kind is str:
        out.append(0x02)
        out += item.encode().replace(b"\x00", b"\x00\xff")
        out.append(0x00)
    elif kind is bytes:
        out.append(0x01)
        out += item.replace(b"\x00", b"\x00\xff")
        out.append(0x00)
    elif kind is bool:
        out.append(0x27 if item else 0x26)
    elif kind is int:
        _pack_int(item, out)
    elif kind is float:
        out.append(0x21)
        out += _order_double(_DOUBLE.pack(item), encode=True)
    elif kind is tuple:
        _check_depth(depth)
        out.append(0x05)
        for inner in item:
            _pack_item(inner, out, places, depth=depth + 1)
        out.append(0x00)
    elif kind is UUID:
        out.append(0x30)
        out += item.bytes
    elif kind is Versionstamp:
        out.append(0x33)
        if item.committed is None:
            places.append(len(out))
        out += item.to_bytes()
    else:
        raise TypeError(f"A key can't hold a value of type {kind.__name__}.")


def _pack_int(value: int, out: bytearray) -> None:
    if value == 0:
        out.append(_INT_ZERO)
        return
    magnitude = value if value > 0 else -value
    size = (magnitude.bit_length() + 7) // 8
    if size > 255:
        raise TypeError("An integer in a key has at most 255 bytes.")
    # A negative number is stored as its distance from the largest of its length, so that
    # the greater one has the greater bytes.
    body = magnitude if value > 0 else (1 << (8 * size)) - 1 - magnitude
    if size <= 8:
        out.append(_INT_ZERO + size if value > 0 else _INT_ZERO - size)
    else:
        out.append(0x1D if value > 0 else 0x0B)
        out.append(size if value > 0 else size ^ 0xFF)
    out += body.to_bytes(size, "big")


def _order_double(packed: bytes, *, encode: bool) -> bytes:
    """IEEE bytes turned so that their order is the numbers' order, and back."""
    is_flipped = packed[0] & 0x80 != (0 if encode else 0x80)
    if is_flipped:
        return bytes(byte ^ 0xFF for byte in packed)
    return bytes([packed[0] ^ 0x80]) + packed[1:]


def _unpack_item(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    code = data[at]
    at += 1
    if code == 0x00:
        return None, at
    if code in (0x01, 0x02):
        raw, at = _unpack_text(data, at)
        return (raw if code == 0x01 else raw.decode()), at
    if 0x0B <= code <= 0x1D:
        return _unpack_int(data, at, code)
    if code == 0x21:
        return _DOUBLE.unpack(_order_double(_take(data, at, 8), encode=False))[0], at + 8
    if code in (0x26, 0x27):
        return code == 0x27, at
    if code == 0x05:
        return _unpack_nested(data, at, depth)
    if code == 0x30:
        return UUID(bytes=_take(data, at, 16)), at + 16
    if code == 0x33:
        raw = _take(data, at, 12)
        committed = None if raw[:10] == b"\xff" * 10 else raw[:10]
        return Versionstamp(committed, int.from_bytes(raw[10:], "big")), at + 12
    raise ValueError(f"Byte {at - 1} of a key begins no known type (0x{code:02x}).")


def _unpack_text(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\x00", at)
    while end >= 0 and end + 1 < len(data) and data[end + 1] == 0xFF:
        end = data.find(b"\x00", end + 2)
    if end < 0:
        raise ValueError("A text in a key has no end.")
    return data[at:end].replace(b"\x00\xff", b"\x00"), end + 1


def _unpack_int(data: bytes, at: int, code: int) -> tuple[int, int]:
    is_negative = code < _INT_ZERO
    if code in (0x0B, 0x1D):
        size = _take(data, at, 1)[0] ^ (0xFF if is_negative else 0)
        at += 1
    else:
        size = abs(code - _INT_ZERO)
    body = int.from_bytes(_take(data, at, size), "big")
    value = body - ((1 << (8 * size)) - 1) if is_negative else body
    return value, at + size


def _unpack_nested(data: bytes, at: int, depth: int) -> tuple[Key, int]:
    _check_depth(depth)
    items: list[Any] = []
    while True:
        if at >= len(data):
            raise ValueError("A nested tuple in a key has no end.")
        if data[at] == 0x00:
            if at + 1 < len(data) and data[at + 1] == 0xFF:
                items.append(None)
                at += 2
                continue
            return tuple(items), at + 1
        item, at = _unpack_item(data, at, depth + 1)
        items.append(item)


def _check_depth(depth: int) -> None:
    if depth >= NESTING_MAX:
        raise ValueError(f"Tuples in a key are nested at most {NESTING_MAX} deep.")


def _take(data: bytes, at: int, size: int) -> bytes:
    taken = data[at : at + size]
    if len(taken) != size:
        raise ValueError("A key ends in the middle of a value.")
    return taken
