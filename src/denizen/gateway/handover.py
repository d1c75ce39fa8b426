"""From an accepted connection with a read head to a WebSocket: all that we use of picows' insides.

picows wants to open its port by itself; its protocol class is importable but undocumented. We use
it so (`tests/gateway/test_picows.py` pins each point): made by `WSProtocol(...)`, given a transport
by `connection_made` and the first bytes by `get_buffer` and `buffer_updated`; then the loop has it.
It gets a `Wire` for a transport, whose write buffer never looks empty, because picows would else
send on the socket past everything that we hold back.
"""

import asyncio
import binascii
from base64 import b64decode
from typing import Any

from picows.common import WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from denizen.core.errors import DenizenError, MalformedMessage, UpgradeRequired
from denizen.gateway import admit
from denizen.gateway.head import Head
from denizen.gateway.paths import ConnectQuery, address_of, match_connect, parse_connect_query
from denizen.gateway.peer import SocketPeer
from denizen.gateway.ports import ConnectRequest
from denizen.gateway.shared import Shared
from denizen.gateway.websocket import CRASHED, SocketListener
from denizen.telemetry import logs

_TLS_DRAIN_S = 1.0
_READ_BUFFER_BYTES = 2_048
_READ_BYTES_MAX = 65_536
_KEY_BYTES = 16
_HEAD = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
)
_CLOSE_FRAME = 0x88
_REASONS = {
    1002: "a frame isn't as the protocol wants it",
    1007: "a text isn't UTF-8",
    1009: "the frame is over the hard limit",
}
_get_buffer = WSProtocol.get_buffer
_log = logs.get("gateway")


def check_upgrade(head: Head) -> bytes:
    """The key of a request to become a WebSocket.

    Raises `UpgradeRequired` or `MalformedMessage`.
    """
    if head.get(b"sec-websocket-version") != b"13":
        raise UpgradeRequired("Only version 13 of the WebSocket protocol is served.")
    key = head.get(b"sec-websocket-key") or b""
    try:
        is_key = len(b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        is_key = False
    if not is_key:
        raise MalformedMessage("Sec-WebSocket-Key must be 16 bytes as base64.")
    if head.content_length or head.is_chunked:
        raise MalformedMessage("A request to become a WebSocket has no body.")
    return key


def connect_request(head: Head, shared: Shared) -> ConnectRequest:
    """What a connection asks for. Whatever is wrong with it becomes its `problem`."""
    address, query = None, ConnectQuery()
    problem: DenizenError | None = None
    principal = shared.policy.principal
    try:
        query = parse_connect_query(head.query)
        principal = admit.admit(shared.policy, head.text(b"host"), head.text(b"origin"))
        parts = match_connect(head.path)
        assert parts is not None, "only paths of connections are handed over"
        address = address_of(parts, shared.limits)
    except DenizenError as error:
        problem = error
    return ConnectRequest(
        address, principal, query.version, query.format, query.params, problem=problem
    )


def hand_over(transport: asyncio.Transport, head: Head, waiting: bytes, shared: Shared) -> None:
    """Make `transport` a WebSocket; `waiting` came after the head.

    From here on its frames, its deadlines and its place in the count of sockets are the socket's.
    Raises as `check_upgrade`, and then the transport is as it was.
    """
    key = check_upgrade(head)
    # Stopped and started, so that the loop reads into the buffer of the new protocol.
    transport.pause_reading()
    wire = Wire(transport)
    listener = SocketListener(
        shared.actors, connect_request(head, shared), shared.limits, wire, shared.socket_lost
    )
    wire.listener = listener
    listener.peer = SocketPeer(transport, shared.cork, shared.limits, listener.closed)
    protocol = _make_protocol(listener, shared.limits.frame_bytes_hard_max)
    wire.protocol = protocol
    shared.socket_sweep.add(listener)
    transport.set_protocol(protocol)
    protocol.connection_made(wire)
    _feed(protocol, _HEAD % key)
    _feed(protocol, waiting)
    transport.resume_reading()


def _make_protocol(listener: SocketListener, frame_bytes_max: int) -> Any:
    def listener_factory(request: WSUpgradeRequest) -> SocketListener:
        return listener

    return _BoundedReads(
        None,  # host and port: of a client
        None,  # path: of a client
        False,  # is_client_side
        listener_factory,
        _QuietLogger(),
        True,  # disconnect_on_exception
        None,  # handshake timeout: the head is here already
        False,  # automatic pings, their two timeouts and strategy: `SocketListener.sweep`
        0,
        0,
        1,
        False,  # automatic pongs: `SocketListener` sends them in order with the rest
        frame_bytes_max,
        None,  # extra headers: of a client
        _READ_BUFFER_BYTES,
    )


def _feed(protocol: Any, data: bytes) -> None:
    at = 0
    while at < len(data):
        room = protocol.get_buffer(-1)
        piece = data[at : at + len(room)]
        room[: len(piece)] = piece
        protocol.buffer_updated(len(piece))
        at += len(piece)


class _BoundedReads(WSProtocol):  # type: ignore[misc]  # not in picows' stubs
    """picows' protocol, reading no more at a time than a turn of the loop should handle.

    Its buffer doubles whenever a read fills it and never shrinks, and the frames of one read are
    handled in one go: a fast sender would get megabytes of memory and a long turn out of us.
    """

    def get_buffer(self, size_hint: int) -> memoryview:
        # Once a read: looked up through `super()` it costs half as much again.
        buffer: memoryview = _get_buffer(self, size_hint)
        return buffer if len(buffer) <= _READ_BYTES_MAX else buffer[:_READ_BYTES_MAX]


class Wire:
    """The transport that picows sees: what it writes goes through the peer's queue."""

    __slots__ = ("_is_upgraded", "_transport", "listener", "protocol")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._is_upgraded = False
        self.listener: SocketListener
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return 1

    def write(self, data: bytes) -> None:
        """picows writes the answer to the handshake, and a close frame where parsing ends."""
        if not self._is_upgraded:
            self._is_upgraded = True
            self.listener.peer.put(bytes(data))
        elif data[0] == _CLOSE_FRAME:
            code = int.from_bytes(data[2:4], "big")
            # picows looks one frame ahead: the frame before the broken one is still to come.
            end = self.listener.fail if code == CRASHED else self.listener.lose
            self._transport.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_soon(end, code, _REASONS.get(code, ""))
            loop.call_soon(self._transport.resume_reading)

    def close(self) -> None:
        """picows ends a connection soon after its close frame; we let the far end read it first."""

    def abort(self) -> None:
        self.listener.peer.abort()

    def shut(self) -> None:
        asyncio.get_running_loop().call_soon(self._shut)

    def drain(self) -> None:
        """Closing at once, with bytes unread, would destroy our last word on its way."""
        self._transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._drain)

    def _shut(self) -> None:
        peer = self.listener.peer
        # Where a frame's handler raised, the read's end was never reached.
        peer.is_batch = False
        peer.flush()
        if not (peer.frames or self._transport.is_closing()) and self._transport.can_write_eof():
            self._transport.write_eof()

    def _drain(self) -> None:
        if self._transport.is_closing():
            return
        self._shut()
        self._transport.set_protocol(_Drain(self.protocol))
        self._transport.resume_reading()
        if not self._transport.can_write_eof():
            # TLS can't end one direction: the far end gets this long to read our close frame.
            asyncio.get_running_loop().call_later(_TLS_DRAIN_S, self._transport.close)


class _Drain(asyncio.Protocol):
    """Drops what comes; picows' protocol still learns of the end."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class _QuietLogger:
    """picows tells of every connection and every bad frame; only its exceptions are news."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802, the name is logging's
        return False

    def debug(self, *args: object) -> None: ...

    info = warning = error = log = debug

    def exception(self, *args: object) -> None:
        _log.exception("a frame couldn't be handled")
