"""WebSocket frames in: picows parses, this file keeps the protocol around it.

What the protocol wants of us and picows leaves open is here: reassembly within bounds, UTF-8,
reserved bits, pings of an idle connection, the closing handshake. What goes out is `peer`'s.
`handover` builds these objects; nothing here opens a socket.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from picows.picows import WSFrame, WSListener, WSMsgType, WSTransport

from denizen.core import clock
from denizen.core.limits import Limits
from denizen.gateway.peer import SocketPeer, control_frame
from denizen.gateway.ports import Actors, ClientConnection, ConnectRequest
from denizen.telemetry import logs

NORMAL = 1000
PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_BIG = 1009
CRASHED = 1011
_PING = 0x9
_PONG = 0xA
_CODES_NEVER_SENT = frozenset({0, 1004, 1005, 1006, 1015})
_CODE_MAX = 4999
_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_log = logs.get("gateway")


class _Life(Enum):
    OPEN = 1
    CLOSING = 2  # our close frame is queued, the far end's is awaited
    OVER = 3  # nothing that comes means anything


class Line(Protocol):
    """What lies under a WebSocket, as far as ending it early goes."""

    def shut(self) -> None:
        """Send what waits and then no more; go on reading."""
        ...

    def drain(self) -> None:
        """As `shut`, but what comes is dropped unread."""
        ...


class SocketListener(WSListener):
    """One WebSocket's way in: turns picows' callbacks into calls of a `ClientConnection`."""

    __slots__ = (
        "_actors",
        "_closed_at",
        "_connection",
        "_frame_bytes_max",
        "_heard_at",
        "_is_heard",
        "_is_text",
        "_life",
        "_limits",
        "_line",
        "_on_lost",
        "_parts",
        "_parts_bytes",
        "_pinged_at",
        "_receive",
        "_request",
        "peer",
    )

    def __init__(
        self,
        actors: Actors,
        request: ConnectRequest,
        limits: Limits,
        line: Line,
        on_lost: Callable[["SocketListener"], None],
    ) -> None:
        self.peer: SocketPeer
        self._actors = actors
        self._request: ConnectRequest | None = request
        self._limits = limits
        self._line = line
        self._on_lost = on_lost
        self._connection: ClientConnection | None = None
        self._receive: Callable[[bytes, bool], None] = _ignore
        self._parts: bytearray | None = None
        self._parts_bytes = 0
        self._is_text = False
        self._frame_bytes_max = limits.frame_bytes_max
        self._life = _Life.OPEN
        self._is_heard = True
        self._heard_at = self._pinged_at = self._closed_at = clock.monotonic()

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        request, self._request = self._request, None
        assert request is not None, "picows tells of the beginning once"
        try:
            connection = self._actors.connect(request, self.peer)
        except Exception:
            _log.exception("a connection couldn't be begun")
            self.peer.close(CRASHED, "")
            return
        self._connection = connection
        if self._life is _Life.OPEN:
            self._receive = connection.receive

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        peer = self.peer
        peer.is_batch = True
        kind = frame.msg_type
        if (
            (kind is _BINARY or kind is _TEXT)
            and frame.fin
            and frame.payload_size <= self._frame_bytes_max
            and self._parts is None
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        ):
            payload = frame.get_payload_as_bytes()
            if kind is _BINARY:
                self._receive(payload, True)
            elif payload.isascii() or _is_utf8(payload):
                self._receive(payload, False)
            else:
                self.fail(NOT_UTF8, "a text frame isn't UTF-8")
        else:
            self._take_other(kind, frame)
        if frame.last_in_buffer:
            self._is_heard = True
            peer.is_batch = False
            if peer.frames:
                peer.flush()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.peer.gone()
        self._life = _Life.OVER
        self._receive = _ignore
        self._on_lost(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost()

    def pause_writing(self) -> None:
        self.peer.pause_writing()

    def resume_writing(self) -> None:
        # A reader that is slow but reads isn't silent.
        self._is_heard = True
        self.peer.resume_writing()

    # What the rest of the gateway calls.

    def fail(self, code: int, reason: str) -> None:
        """Something came that may not: say so, and listen only for the far end's close frame."""
        if self._life is _Life.OPEN:
            self.peer.close(code, reason)
            self._line.shut()

    def lose(self, code: int, reason: str) -> None:
        """Where the next frame begins is no longer known: say so, and drop what still comes."""
        if self._life is not _Life.OVER:
            self.peer.close(code, reason)
            self._life = _Life.OVER
            self._line.drain()

    def closed(self) -> None:
        """Our close frame is queued: what the far end still sends is passed over."""
        if self._life is _Life.OPEN:
            self._life = _Life.CLOSING
            self._receive = _ignore
            self._closed_at = clock.monotonic()

    def sweep(self, now: float) -> None:
        """Ping who is silent, drop who stays silent or doesn't finish closing."""
        if self._life is not _Life.OPEN:
            if now - self._closed_at > self._limits.closing_timeout_s:
                self.peer.abort()
        elif self._is_heard:
            self._is_heard = False
            self._heard_at = now
        elif now - self._heard_at >= self._limits.silence_timeout_s:
            self.peer.abort()
        elif now - max(self._heard_at, self._pinged_at) >= self._limits.ping_after_s:
            self._pinged_at = now
            self.peer.put(control_frame(_PING, b""))

    # Frames off the usual path.

    def _take_other(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is WSMsgType.CLOSE:
            self._take_close(frame)
        elif self._life is not _Life.OPEN:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(PROTOCOL_ERROR, "reserved bits are set: no extension was agreed on")
        elif kind is WSMsgType.PING:
            self.peer.put(control_frame(_PONG, frame.get_payload_as_bytes()))
        elif kind is not WSMsgType.PONG:
            self._take_part(kind, frame)

    def _take_close(self, frame: WSFrame) -> None:
        # Read from the bytes: picows knows names for some codes only.
        payload = frame.get_payload_as_bytes()
        code = int.from_bytes(payload[:2], "big") if payload else NORMAL
        if code in _CODES_NEVER_SENT or code > _CODE_MAX:
            self.peer.close(PROTOCOL_ERROR, "that close code may not be sent")
        self.peer.close(code, "")
        # The closing handshake is done, and it is the server who ends the connection.
        self._life = _Life.OVER
        self.peer.hang_up()

    def _take_part(self, kind: WSMsgType, frame: WSFrame) -> None:
        """One frame of a message in parts, or one that is too long."""
        if kind is not WSMsgType.CONTINUATION:
            if self._parts is not None:
                self.fail(PROTOCOL_ERROR, "a message began inside another")
                return
            self._parts, self._parts_bytes = bytearray(), 0
            self._is_text = kind is _TEXT
        elif self._parts is None:
            self.fail(PROTOCOL_ERROR, "a continuation without a beginning")
            return
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._limits.frame_bytes_hard_max:
            self.fail(TOO_BIG, "the message is over the hard limit")
        elif self._parts_bytes <= self._frame_bytes_max:
            self._parts += frame.get_payload_as_memoryview()
        else:
            self._parts.clear()
        if frame.fin and self._life is _Life.OPEN:
            self._end_message(bytes(self._parts))

    def _end_message(self, payload: bytes) -> None:
        self._parts = None
        if self._parts_bytes > self._frame_bytes_max:
            if self._connection is not None:
                self._connection.receive_too_long()
        elif not self._is_text or _is_utf8(payload):
            self._receive(payload, not self._is_text)
        else:
            self.fail(NOT_UTF8, "a text message isn't UTF-8")


def _ignore(payload: bytes, is_binary: bool) -> None:
    """Frames of a connection that has ended go nowhere."""


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
