"""Where a chunked body ends, and how much it carries.

Pure: raw bytes in, the same bytes out as long as they are body. Trailers are swallowed, because
the parser behind would count them among the headers that were already judged.
"""

import re
from enum import Enum

from denizen.core.errors import MalformedMessage

LINE_BYTES_MAX = 256
TRAILER_BYTES_MAX = 4_096
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[\t\x20-\x7e]*)?")


class _At(Enum):
    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILER = 4
    END = 5


class ChunkScanner:
    """Follows one chunked body. `carried` is how many bytes of content have been announced."""

    __slots__ = ("_at", "_left", "_trailer_bytes", "carried")

    def __init__(self) -> None:
        self._at = _At.SIZE
        self._left = 0
        self._trailer_bytes = 0
        self.carried = 0

    @property
    def has_ended(self) -> bool:
        return self._at is _At.END

    def take(self, waiting: bytearray) -> bytes:
        """Remove from `waiting` what belongs to the body and can be judged; it may be empty.

        Raises `MalformedMessage`.
        """
        passed = bytearray()
        while waiting and not self.has_ended:
            if self._at is _At.DATA:
                passed += self._take_data(waiting)
                continue
            line = self._take_line(waiting)
            if line is None:
                break
            passed += self._judge(line)
        return bytes(passed)

    def _take_data(self, waiting: bytearray) -> bytes:
        taken = bytes(waiting[: self._left])
        del waiting[: self._left]
        self._left -= len(taken)
        if not self._left:
            self._at = _At.DATA_END
        return taken

    def _take_line(self, waiting: bytearray) -> bytes | None:
        if self._at is _At.DATA_END and not b"\r\n".startswith(waiting[:2]):
            raise MalformedMessage("A chunk is longer than it says.")
        end = waiting.find(b"\n", 0, LINE_BYTES_MAX)
        if end < 0:
            if len(waiting) >= LINE_BYTES_MAX:
                raise MalformedMessage("A line between two chunks is too long.")
            return None
        line = bytes(waiting[: end + 1])
        if not line.endswith(b"\r\n"):
            raise MalformedMessage("A line between two chunks must end with CR LF.")
        del waiting[: end + 1]
        return line

    def _judge(self, line: bytes) -> bytes:
        if self._at is _At.DATA_END:
            self._at = _At.SIZE
            return line
        if self._at is _At.TRAILER:
            return self._skip_trailer(line)
        size = _SIZE_LINE.fullmatch(line[:-2])
        if size is None:
            raise MalformedMessage("A chunk must begin with its size in hexadecimal digits.")
        self._left = int(size[1], 16)
        self.carried += self._left
        self._at = _At.DATA if self._left else _At.TRAILER
        return b"%x\r\n" % self._left if self._left else b""

    def _skip_trailer(self, line: bytes) -> bytes:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > TRAILER_BYTES_MAX:
            raise MalformedMessage("The trailers after the last chunk are too long.")
        if line != b"\r\n":
            return b""
        self._at = _At.END
        return b"0\r\n\r\n"
