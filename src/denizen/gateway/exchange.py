"""The HTTP side of a connection: all that we use of uvicorn's insides.

uvicorn's `HttpToolsProtocol` parses a request that the guard has passed and runs the ASGI app. It
isn't given the loop's transport but `HeldTransport`, so that only the front decides when to read
and when to close. `tests/gateway/test_uvicorn.py` pins what is used: the constructor, the asyncio
protocol methods, `on_response_complete`, `send_400_response`, `flow`, `cycle.response_started`.
"""

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from denizen.core.errors import MalformedMessage
from denizen.gateway.cork import Cork
from denizen.gateway.shared import Shared

_FLUSH_OVER_BYTES = 16_384


class Owner(Protocol):
    """Whoever owns the connection: the front."""

    def hold(self) -> None:
        """The app is slower than the client: pass on no more bytes."""
        ...

    def release(self) -> None:
        """The app wants more bytes."""
        ...

    def response_ended(self) -> None:
        """A response has been written whole."""
        ...

    def finish(self) -> None:
        """The connection is not to be kept."""
        ...

    def refuse(self, error: MalformedMessage) -> None:
        """The parser behind didn't like what the guard passed."""
        ...


class HeldTransport(asyncio.Transport):
    """The transport as uvicorn sees it. A response's head and body leave in one write."""

    def __init__(self, transport: asyncio.Transport, owner: Owner, cork: Cork) -> None:
        super().__init__()
        self._transport = transport
        self._owner = owner
        self._cork = cork
        self._parts: list[bytes] = []
        self._bytes = 0

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if not data:
            return
        if not self._parts:
            self._cork.mark(self)
        self._parts.append(bytes(data))
        self._bytes += len(data)
        if self._bytes > _FLUSH_OVER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()
        self._bytes = 0

    def close(self) -> None:
        self._owner.finish()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._owner.hold()

    def resume_reading(self) -> None:
        self._owner.release()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


class Exchange(HttpToolsProtocol):
    """Requests and responses of one connection, one after the other."""

    def __init__(self, transport: asyncio.Transport, owner: Owner, shared: Shared) -> None:
        super().__init__(shared.uvicorn_config, shared.uvicorn_state, {})
        self._owner = owner
        self._held = HeldTransport(transport, owner, shared.cork)
        self.connection_made(self._held)

    @property
    def has_begun_response(self) -> bool:
        """Whether a part of the current response has been written."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_started and not cycle.response_complete

    def flush(self) -> None:
        """Write now what would be written at the end of this turn."""
        self._held.flush()

    def on_response_complete(self) -> None:
        # Instead of uvicorn's: its timers and its queue of pipelined requests are never needed.
        self.server_state.total_requests += 1
        self._held.flush()
        self.flow.resume_reading()
        self._owner.response_ended()

    def send_400_response(self, msg: str) -> None:
        self._owner.refuse(MalformedMessage("The request isn't HTTP as the parser knows it."))

    def abandon(self) -> None:
        """The connection ends without a whole response: the app is told, its writes go nowhere."""
        self.connection_lost(ConnectionResetError())
