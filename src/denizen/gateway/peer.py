"""The far end of a WebSocket, as the host sees it: frames out.

Every byte that leaves a WebSocket passes through `SocketPeer`, control frames too, so their order
is the order of the calls. Frames wait here while the transport is full and not in the transport:
what a slow reader never read can then be thrown away, and the close frame still reaches it.
"""

import asyncio
from collections.abc import Callable
from struct import Struct

from denizen.core.limits import Limits
from denizen.gateway.cork import Cork

TRY_AGAIN_LATER = 1013
WRITE_BYTES_MAX = 262_144
_REASON_BYTES_MAX = 123
# The first two bytes of every frame short enough for them, text frames first.
_SHORT_HEADS = tuple(tuple(bytes((first, size)) for size in range(126)) for first in (0x81, 0x82))
_pack_medium_head = Struct("!BBH").pack
_pack_long_head = Struct("!BBQ").pack


def control_frame(opcode: int, payload: bytes) -> bytes:
    """A control frame of a server; `payload` has at most 125 bytes."""
    return bytes((0x80 | opcode, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a reason that is too long is cut at a character."""
    cut = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return control_frame(0x8, code.to_bytes(2, "big") + cut)


class SocketPeer:
    """One WebSocket's way out. Implements `ports.Peer`.

    `on_closed` is called when the first close frame is queued, whoever wanted it.
    """

    __slots__ = (
        "_cork",
        "_flush_over",
        "_has_read_paused",
        "_is_gone",
        "_is_write_paused",
        "_on_closed",
        "_resume_reading_at",
        "_transport",
        "_waiting_bytes",
        "_waiting_bytes_max",
        "frames",
        "is_batch",
        "is_closed",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        cork: Cork,
        limits: Limits,
        on_closed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._cork = cork
        self._on_closed = on_closed
        self._waiting_bytes = 0
        self._waiting_bytes_max = limits.outgoing_bytes_max
        self._flush_over = min(WRITE_BYTES_MAX, limits.outgoing_bytes_max // 2)
        self._resume_reading_at = limits.outgoing_bytes_max // 4
        self._is_write_paused = False
        self._has_read_paused = False
        self._is_gone = False
        self.frames: list[bytes] = []
        self.is_closed = False
        # While one read's frames are handled, their handler flushes at the end of the read.
        self.is_batch = False

    def send(self, payload: bytes, is_binary: bool) -> None:
        """Send one frame with the others of this turn; see `ports.Peer`."""
        if self.is_closed:
            return
        size = len(payload)
        if size < 126:
            frame = _SHORT_HEADS[is_binary][size] + payload
        elif size < 65_536:
            frame = _pack_medium_head(0x82 if is_binary else 0x81, 126, size) + payload
        else:
            frame = _pack_long_head(0x82 if is_binary else 0x81, 127, size) + payload
        frames = self.frames
        if not frames and not self.is_batch:
            self._cork.mark(self)
        frames.append(frame)
        self._waiting_bytes += size
        if self._waiting_bytes > self._flush_over:
            self._relieve()

    def close(self, code: int, reason: str) -> None:
        """Send what waits, then a close frame; see `ports.Peer`."""
        if not self.is_closed:
            self.put(close_frame(code, reason))
            self._end()

    def put(self, frame: bytes) -> None:
        """Queue bytes that are whole frames already, or the answer to the handshake."""
        if self.is_closed:
            return
        if not self.frames and not self.is_batch:
            self._cork.mark(self)
        self.frames.append(frame)
        self._waiting_bytes += len(frame)
        if self._waiting_bytes > self._flush_over:
            self._relieve()

    def flush(self) -> None:
        """Give the transport what waits, until it is full."""
        frames = self.frames
        if not frames or self._is_write_paused or self._is_gone:
            return
        if self._waiting_bytes <= self._flush_over or len(frames) == 1:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            frames.clear()
            self._waiting_bytes = 0
            self._transport.write(data)
        else:
            self._flush_slices()
        if self._has_read_paused and self._waiting_bytes <= self._resume_reading_at:
            self._has_read_paused = False
            self._transport.resume_reading()

    def hang_up(self) -> None:
        """End the connection when everything queued has left."""
        if not self._is_gone:
            self._is_write_paused = False
            self.flush()
            self.gone()
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; what waits is lost."""
        self.gone()
        self._transport.abort()

    def gone(self) -> None:
        """The transport has ended or is told to: nothing more is handed to it."""
        self._is_gone = self.is_closed = True
        self.frames.clear()

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self.flush()

    def _flush_slices(self) -> None:
        """Many bytes wait: a slice a write, so that the transport holds little beyond its mark."""
        frames, begin = self.frames, 0
        while begin < len(frames) and not self._is_write_paused:
            end, size = begin, 0
            while end < len(frames) and size < self._flush_over:
                size += len(frames[end])
                end += 1
            self._transport.write(b"".join(frames[begin:end]))
            begin = end
        del frames[:begin]
        self._waiting_bytes = sum(map(len, frames))

    def _relieve(self) -> None:
        """Much waits: write now; if the far end doesn't read, stop listening to it, then close."""
        self.flush()
        if self._waiting_bytes > self._waiting_bytes_max and len(self.frames) > 1:
            self.frames.clear()
            self._waiting_bytes = 0
            self.close(TRY_AGAIN_LATER, "the connection reads too slowly: connect again later")
        elif self._waiting_bytes * 2 > self._waiting_bytes_max and not self._has_read_paused:
            self._has_read_paused = True
            self._transport.pause_reading()

    def _end(self) -> None:
        self.is_closed = True
        if self._has_read_paused and not self._is_gone:
            # The far end's own close frame is still to come.
            self._has_read_paused = False
            self._transport.resume_reading()
        self._on_closed()
