"""A bare WebSocket to one actor: protocol v1 in JSON, nothing retried, nothing resumed.

Our own client isn't used: it would settle by itself what the proofs must see.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import picows

from denizen.wire.v1 import CODECS
from denizen.wire.v1.frames import ErrorFrame, EventFrame, FailureFrame, OutputFrame

PATIENCE_S = 20.0

_CODEC = CODECS["json"]
_log = logging.getLogger("tests.durability")
_log.setLevel(logging.CRITICAL)  # sockets that break are what is wanted here


class Refused(Exception):
    """The call or the connection was answered with an error; `code` is the wire's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Lost(Exception):
    """The connection ended before the call was answered; `close_code` as the server said it."""

    def __init__(self, close_code: int | None) -> None:
        super().__init__(str(close_code))
        self.close_code = close_code


class Link(picows.WSListener):
    """One connection. Made by `linked`."""

    def __init__(self) -> None:
        self.close_code: int | None = None
        self._transport: picows.WSTransport | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._refusal: Refused | None = None
        self._hear: Callable[[Any], None] = _ignore

    def call(self, action: str, *args: Any) -> "asyncio.Future[Any]":
        """Send a call now; the future holds its output, or raises `Refused` or `Lost`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(Lost(self.close_code))
            return future
        self._waiting[self._next_id] = future
        frame = _CODEC.encode_call(self._next_id, action, list(args))
        self._next_id += 1
        self._transport.send(picows.WSMsgType.TEXT, frame)
        return future

    def subscribe(self, event: str, hear: Callable[[Any], None]) -> None:
        """From now on `hear` gets the first argument of each such event."""
        assert self._transport is not None, "the connection has ended"
        self._hear = hear
        self._transport.send(picows.WSMsgType.TEXT, _CODEC.encode_subscribe(event, True))

    def disconnect(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # What picows calls.

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.TEXT:
            self._take(frame.get_payload_as_bytes())
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            self.close_code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
            transport.disconnect(graceful=False)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._transport = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(self._refusal or Lost(self.close_code))

    def _take(self, payload: bytes) -> None:
        frame = _CODEC.decode_server_frame(payload)
        if isinstance(frame, FailureFrame):
            self._refusal = Refused(frame.code)
        elif isinstance(frame, EventFrame):
            self._hear(frame.args[0])
        elif isinstance(frame, OutputFrame | ErrorFrame):
            future = self._waiting.pop(frame.id)
            if future.done():
                return
            if isinstance(frame, OutputFrame):
                future.set_result(frame.output)
            else:
                future.set_exception(Refused(frame.code))


def _ignore(argument: Any) -> None:
    """Events that nobody subscribed to don't come."""


@asynccontextmanager
async def linked(port: int, actor: str) -> AsyncIterator[Link]:
    """A connection to the actor `TYPE/KEY`. Raises `OSError` or picows' errors."""
    url = f"ws://127.0.0.1:{port}/actors/{actor}/connect?version=1&format=json"
    transport, link = await picows.ws_connect(
        Link, url, websocket_handshake_timeout=PATIENCE_S, logger_name=_log
    )
    assert isinstance(link, Link)
    try:
        yield link
    finally:
        link.disconnect()
        try:
            await transport.wait_disconnected()
        except (picows.WSError, OSError):
            _log.debug("a link broke, as links here do")


async def ask(port: int, actor: str, action: str, *args: Any) -> Any:
    """One call on a connection of its own."""
    async with asyncio.timeout(PATIENCE_S), linked(port, actor) as link:
        return await link.call(action, *args)
