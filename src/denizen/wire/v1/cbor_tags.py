"""CBOR tags in: the few by which a JavaScript client says date, big integer, typed array, set, map.

Every other tag is refused. Shared references (28, 29) would make values that contain themselves and
string references (25, 256) values larger than their bytes; no client of v1 sends them.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

BIG_INTEGER_BYTES_MAX = 512
"""More digits than anyone counts with, and few enough for Python to write them down."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CborError(ValueError):
    """The bytes aren't a value that v1 takes; the text says why."""


def untagged(tag: int, content: Any) -> Any:
    """The plain value that a tagged item stands for. Raises `CborError`."""
    reads = _TAGS.get(tag)
    if reads is None:
        raise CborError(f"tag {tag} isn't understood")
    return reads(content)


def _time(content: Any) -> datetime:
    if type(content) not in (int, float):
        raise CborError("a date (tag 1) that isn't a number of seconds")
    try:
        return _EPOCH + timedelta(seconds=content)
    except (OverflowError, ValueError):
        raise CborError("a date (tag 1) outside the years 1 to 9999") from None


def _big(content: Any) -> int:
    if type(content) is not bytes or len(content) > BIG_INTEGER_BYTES_MAX:
        raise CborError(f"a big integer that isn't at most {BIG_INTEGER_BYTES_MAX} bytes")
    return int.from_bytes(content, "big")


def _big_negative(content: Any) -> int:
    return -1 - _big(content)


def _of(kind: type, what: str) -> Callable[[Any], Any]:
    def read(content: Any) -> Any:
        if type(content) is not kind:
            raise CborError(f"{what} on the wrong kind of value")
        return content

    return read


def _typed_array(order: str, code: str) -> Callable[[Any], list[int | float]]:
    size = struct.calcsize(order + code)

    def read(content: Any) -> list[int | float]:
        if type(content) is not bytes or len(content) % size:
            raise CborError(f"a typed array that isn't whole elements of {size} bytes")
        return list(struct.unpack(f"{order}{len(content) // size}{code}", content))

    return read


_bytes = _of(bytes, "a byte array's tag")

# RFC 8746 for the arrays. Uint8Array and Uint8ClampedArray are bytes; 128-bit floats nobody has.
_TAGS: dict[int, Callable[[Any], Any]] = {
    1: _time,
    2: _big,
    3: _big_negative,
    64: _bytes,
    68: _bytes,
    **{
        tag: _typed_array(form[0], form[1])
        for tag, form in {
            65: ">H",
            66: ">I",
            67: ">Q",
            69: "<H",
            70: "<I",
            71: "<Q",
            72: ">b",
            73: ">h",
            74: ">i",
            75: ">q",
            77: "<h",
            78: "<i",
            79: "<q",
            80: ">e",
            81: ">f",
            82: ">d",
            84: "<e",
            85: "<f",
            86: "<d",
        }.items()
    },
    258: _of(list, "a set's tag (258)"),
    259: _of(dict, "a map's tag (259)"),
}
