"""A WebSocket as the connection sees it, and picows' client behind it. No protocol of ours here.

A `Dial` lives as long as its socket: it opens one, gives it to a receiver, and returns how it
ended. The simulator brings a dial of its own, without sockets.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
import picows

from denizen.client.endings import ABNORMAL, Ending
from denizen.client.settings import Settings
from denizen.core.errors import DenizenError, NotConnected, from_wire

_log = logging.getLogger("denizen.client.sockets")
_log.setLevel(logging.WARNING)  # picows tells of each socket's coming and going at INFO
_FRAME_BYTES_MAX = 64 * 1_048_576
_TRY_AGAIN_STATUSES = frozenset({408, 425, 429})


class Socket(Protocol):
    """An open socket. Sending never blocks; what is sent after `close` is dropped."""

    def send(self, payload: bytes, is_binary: bool) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Receiver(Protocol):
    """Who listens to a socket. Called from the event loop, `opened` first and once."""

    def opened(self, socket: Socket) -> None: ...

    def receive(self, payload: bytes, is_binary: bool) -> None: ...

    def ended(self, ending: Ending) -> None:
        """The server said goodbye: nothing that is sent from now on would arrive."""
        ...


Dial = Callable[[str, Receiver], Awaitable[Ending]]


def picows_dial(settings: Settings, tls: ssl.SSLContext | None = None) -> Dial:
    """A dial over TCP, with TLS for `wss`. `tls` None: the system's certificates."""

    async def dial(url: str, receiver: Receiver) -> Ending:
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                transport, listener = await picows.ws_connect(
                    lambda: _Listener(receiver, settings.close_timeout_s),
                    url,
                    ssl_context=tls,
                    websocket_handshake_timeout=settings.connect_timeout_s,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=settings.silence_s,
                    auto_ping_reply_timeout=settings.silence_s,
                    max_frame_size=_FRAME_BYTES_MAX,
                    max_redirects=0,
                    logger_name=_log,
                )
        except picows.WSHandshakeError as error:
            return _declined(error)
        except TimeoutError:
            return Ending(reason=f"no answer within {settings.connect_timeout_s:g} s")
        except ssl.SSLCertVerificationError as error:
            return Ending(refusal=NotConnected(f"TLS failed: {error.verify_message}"))
        except OSError as error:
            return Ending(reason=f"the server can't be reached ({error}): is it running?")
        try:
            await transport.wait_disconnected()
        except (picows.WSError, OSError) as error:
            return Ending(reason=str(error))
        finally:
            if not transport.is_disconnected:  # we were cancelled: nobody else knows this socket
                transport.disconnect(graceful=False)
        assert isinstance(listener, _Listener)
        return listener.ending

    return dial


class _Listener(picows.WSListener):
    """Puts fragments together and remembers the close frame."""

    def __init__(self, receiver: Receiver, close_timeout_s: float) -> None:
        self._receiver = receiver
        self._close_timeout_s = close_timeout_s
        self._fragments = bytearray()
        self._fragments_are_binary = False
        self.ending = Ending()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._receiver.opened(_Socket(transport, self._close_timeout_s))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
            is_binary = kind == picows.WSMsgType.BINARY
            if frame.fin:
                self._receiver.receive(frame.get_payload_as_bytes(), is_binary)
                return
            self._fragments_are_binary = is_binary
            self._add_fragment(frame)
        elif kind == picows.WSMsgType.CONTINUATION:
            self._add_fragment(frame)
        elif kind == picows.WSMsgType.CLOSE:
            self._close(transport, frame.get_payload_as_bytes())

    def _add_fragment(self, frame: picows.WSFrame) -> None:
        self._fragments += frame.get_payload_as_memoryview()
        if len(self._fragments) > _FRAME_BYTES_MAX:
            raise picows.WSProtocolError(picows.WSCloseCode.MESSAGE_TOO_BIG, "message too long")
        if frame.fin:
            payload, self._fragments = bytes(self._fragments), bytearray()
            self._receiver.receive(payload, self._fragments_are_binary)

    def _close(self, transport: picows.WSTransport, payload: bytes) -> None:
        if len(payload) >= 2:
            reason = payload[2:].decode(errors="replace")
            self.ending = Ending(int.from_bytes(payload[:2], "big"), reason)
        if not transport.is_close_frame_sent:
            transport.send_close(picows.WSCloseCode.OK)
        transport.disconnect()
        self._receiver.ended(self.ending)


class _Socket:
    def __init__(self, transport: picows.WSTransport, close_timeout_s: float) -> None:
        self._transport = transport
        self._close_timeout_s = close_timeout_s

    def send(self, payload: bytes, is_binary: bool) -> None:
        if not self._transport.is_close_frame_sent:
            kind = picows.WSMsgType.BINARY if is_binary else picows.WSMsgType.TEXT
            self._transport.send(kind, payload)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; the server answers it, or is cut off after a while."""
        if self._transport.is_close_frame_sent or self._transport.is_disconnected:
            return
        self._transport.send_close(picows.WSCloseCode(code), reason.encode())
        asyncio.get_running_loop().call_later(
            self._close_timeout_s, self._transport.disconnect, False
        )


def _declined(error: picows.WSHandshakeError) -> Ending:
    """The server answered the upgrade with something else than a WebSocket."""
    status = int(error.response.status) if error.response is not None else 0
    if not status:
        return Ending(reason="the server doesn't speak WebSocket there")
    refusal = _error_in(error.raw_body) or NotConnected(
        f"The server answered {status} instead of opening a WebSocket: is the URL Denizen's?"
    )
    if status >= 500 or status in _TRY_AGAIN_STATUSES:
        return Ending(ABNORMAL, refusal.message.rstrip("."))
    return Ending(refusal=refusal)


def _error_in(body: bytes | None) -> DenizenError | None:
    try:
        found: dict[str, Any] = msgspec.json.decode(body or b"", type=dict[str, Any])
        return from_wire(str(found["code"]), str(found["message"]), found.get("metadata"))
    except (msgspec.DecodeError, KeyError):
        return None
