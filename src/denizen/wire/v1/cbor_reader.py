"""CBOR in: one item to plain values. What JavaScript's encoders write, and nothing that is clever.

The theory. A reader made for every tag there is (shared references, fractions, MIME) builds what
nobody may send here, ignores what stands behind the item and needs a second walk over its result:
floats that are integers, `undefined`, keys that aren't text. This one walks once and knows when to
stop. Depth is counted on the way down, a length is compared with what is there before it is used,
and no item costs more than its own bytes.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET

from denizen.wire.v1.cbor_tags import CborError, untagged

UNDEFINED: Final = UNSET
"""What `undefined` is read as; whoever reads a frame decides where it is null and where absent."""

_BREAK = 0xFF
_TOO_EARLY = "it ends in the middle of a value"
_HALF, _SINGLE, _DOUBLE = struct.Struct(">e"), struct.Struct(">f"), struct.Struct(">d")
_unpack_double = _DOUBLE.unpack_from
_FLOATS = {25: _HALF, 26: _SINGLE, 27: _DOUBLE}
_SIMPLE = {20: False, 21: True, 22: None, 23: UNDEFINED}

Found = tuple[Any, int]
"""An item and the place behind it."""


class Reader:
    """Reads payloads whose arrays and maps nest at most `nesting_max` deep.

    `number` says what a float stands for: the far end may know only floats.
    """

    def __init__(self, nesting_max: int, number: Callable[[float], int | float]) -> None:
        self._nesting_max = nesting_max
        self._number = number
        self._by_major = (
            self._unsigned,
            self._negative,
            self._bytes,
            self._text,
            self._array,
            self._map,
            self._tag,
            self._simple,
        )

    def read(self, payload: bytes) -> Any:
        """The one item that the payload is. Raises `CborError`."""
        value, end = self.read_at(payload, 0, 0)
        if end != len(payload):
            raise CborError("more bytes follow the value")
        return value

    def read_at(self, data: bytes, at: int, depth: int) -> Found:
        """The item at a place that is `depth` levels deep already. Raises `CborError`."""
        try:
            return self._item(data, at, depth)
        except (IndexError, struct.error):
            raise CborError(_TOO_EARLY) from None
        except UnicodeDecodeError:
            raise CborError("a text isn't UTF-8") from None

    def _item(self, data: bytes, at: int, depth: int) -> Found:
        head = data[at]
        at += 1
        if head < 0x18:
            return head, at
        if 0x60 <= head < 0x78:
            end = at + head - 0x60
            if end > len(data):
                raise CborError(_TOO_EARLY)
            return data[at:end].decode(), end
        if head == 0xFB:
            return self._number(_unpack_double(data, at)[0]), at + 8
        return self._by_major[head >> 5](data, at, head & 0x1F, depth)

    def _unsigned(self, data: bytes, at: int, low: int, depth: int) -> Found:
        return _argument(data, at, low)

    def _negative(self, data: bytes, at: int, low: int, depth: int) -> Found:
        value, at = _argument(data, at, low)
        return -1 - value, at

    def _bytes(self, data: bytes, at: int, low: int, depth: int) -> Found:
        if low == 31:
            chunks, at = _chunks(data, at, 0x40)
            return b"".join(chunks), at
        size, at = _argument(data, at, low)
        return _slice(data, at, size), at + size

    def _text(self, data: bytes, at: int, low: int, depth: int) -> Found:
        if low == 31:
            chunks, at = _chunks(data, at, 0x60)
            return "".join(str(chunk, "utf-8") for chunk in chunks), at
        size, at = _argument(data, at, low)
        return str(_slice(data, at, size), "utf-8"), at + size

    def _array(self, data: bytes, at: int, low: int, depth: int) -> Found:
        if depth >= self._nesting_max:
            raise self._too_deep()
        depth += 1
        items: list[Any] = []
        if low == 31:
            while data[at] != _BREAK:
                item, at = self._item(data, at, depth)
                items.append(item)
            return items, at + 1
        count, at = (low, at) if low < 24 else _argument(data, at, low)
        # Every item takes a byte at least, whatever a head claims.
        if count > len(data) - at:
            raise CborError(_TOO_EARLY)
        for _ in range(count):
            head = data[at]
            if head < 0x18:
                # Not for `_item` to say again: arrays of small integers are the longest there are.
                items.append(head)
                at += 1
            else:
                item, at = self._item(data, at, depth)
                items.append(item)
        return items, at

    def _map(self, data: bytes, at: int, low: int, depth: int) -> Found:
        if depth >= self._nesting_max:
            raise self._too_deep()
        depth += 1
        entries: dict[str, Any] = {}
        if low == 31:
            while data[at] != _BREAK:
                at = self._entry(data, at, depth, entries)
            return entries, at + 1
        count, at = (low, at) if low < 24 else _argument(data, at, low)
        if 2 * count > len(data) - at:
            raise CborError(_TOO_EARLY)
        for _ in range(count):
            at = self._entry(data, at, depth, entries)
        return entries, at

    def _entry(self, data: bytes, at: int, depth: int, entries: dict[str, Any]) -> int:
        key, at = self._item(data, at, depth)
        name = key if type(key) is str else _text_key(key)
        if name in entries:
            raise CborError("a map holds a key twice")
        entries[name], at = self._item(data, at, depth)
        return at

    def _tag(self, data: bytes, at: int, low: int, depth: int) -> Found:
        tag, at = _argument(data, at, low)
        if depth >= self._nesting_max:
            raise self._too_deep()
        content, at = self._item(data, at, depth + 1)
        return untagged(tag, content), at

    def _simple(self, data: bytes, at: int, low: int, depth: int) -> Found:
        form = _FLOATS.get(low)
        if form is not None:
            return self._number(form.unpack_from(data, at)[0]), at + form.size
        if low == 31:
            raise CborError("a break where a value belongs")
        if low not in _SIMPLE:
            raise CborError("a simple value that isn't false, true, null or undefined")
        return _SIMPLE[low], at

    def _too_deep(self) -> CborError:
        return CborError(f"it is nested more than {self._nesting_max} levels deep")


def _argument(data: bytes, at: int, low: int) -> tuple[int, int]:
    """The number that belongs to an item's head: a value, a length or a tag."""
    if low < 24:
        return low, at
    if low == 24:
        return data[at], at + 1
    if low > 27:
        raise CborError("a head that CBOR reserves or that doesn't belong there")
    size = 1 << (low - 24)
    return int.from_bytes(_slice(data, at, size), "big"), at + size


def _slice(data: bytes, at: int, size: int) -> bytes:
    end = at + size
    if end > len(data):
        raise CborError(_TOO_EARLY)
    return data[at:end]


def _chunks(data: bytes, at: int, major: int) -> tuple[list[bytes], int]:
    """The parts of a string of unknown length: strings of its own kind, up to the break."""
    chunks: list[bytes] = []
    while data[at] != _BREAK:
        head = data[at]
        if head & 0xE0 != major or head == major | 31:
            raise CborError("a chunk of a string that isn't of its kind")
        size, at = _argument(data, at + 1, head & 0x1F)
        chunks.append(_slice(data, at, size))
        at += size
    return chunks, at + 1


def _text_key(key: object) -> str:
    """The text of a key: those of a JavaScript `Map` may be numbers."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int) and -(2**64) <= key < 2**64:
        return str(key)
    raise CborError("a map's key that is neither text nor an integer of 64 bits")
