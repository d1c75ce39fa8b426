"""What the gateway needs from the rest of the system, and what it gives in return.

The gateway owns these interfaces; `server.py` supplies what stands behind them. Everything here is
sans-I/O: a `Peer` is a WebSocket to the host, whether picows, uvicorn or a test in memory holds it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from denizen.core.address import Address
from denizen.core.principal import Principal

ASGIMessage = dict[str, Any]
ASGIReceive = Callable[[], Awaitable[ASGIMessage]]
ASGISend = Callable[[ASGIMessage], Awaitable[None]]


class Peer(Protocol):
    """The far end of one client connection."""

    def send(self, payload: bytes, is_binary: bool) -> None:
        """Send one frame. Frames of one loop turn leave in one write, in order; never blocks.

        A peer that reads too slowly (`outgoing_bytes_max`) is closed with 1013.
        """
        ...

    def close(self, code: int, reason: str) -> None:
        """Send what is waiting, then a close frame. Later sends are dropped."""
        ...


class ClientConnection(Protocol):
    """One client connection as the host holds it. Calls come from the event loop, in order."""

    def receive(self, payload: bytes, is_binary: bool) -> None:
        """One whole frame has come. Never raises: what is wrong is answered to the peer."""
        ...

    def receive_too_long(self) -> None:
        """A frame over `frame_bytes_max` was dropped: that is answered, the connection stays."""
        ...

    def lost(self) -> None:
        """The socket has ended, whoever ended it. Called exactly once, last."""
        ...


class ConnectRequest(msgspec.Struct, frozen=True):
    """What a connection asks for, as it stood in the URL (percent-decoded, otherwise unjudged).

    `problem` is set when the address itself could not be read, or the page that asks may not: the
    connection is then refused with it.
    """

    address: Address | None
    principal: Principal
    version: str | None
    format: str | None
    params: str | None
    problem: Exception | None = None


class TagQuery(msgspec.Struct, frozen=True):
    """The three questions of the manager endpoint, one of which is asked.

    `get_for_id`; or `tags` with `create_tags` None (get only) or given (get or create);
    or `tags` None with `create_tags` (always create).
    """

    namespace: str
    get_for_id: str | None = None
    tags: Mapping[str, str] | None = None
    create_tags: Mapping[str, str] | None = None
    region: str | None = None


class Actors(Protocol):
    """The actors behind the gateway."""

    def connect(self, request: ConnectRequest, peer: Peer) -> ClientConnection:
        """Begin a connection. Refusals are sent to the peer as the protocol wants them."""
        ...

    async def call(
        self, address: Address, action: str, args: list[Any], principal: Principal
    ) -> bytes:
        """Run an action and return its durable result, packed (see `wire.values`).

        Raises `DenizenError`.
        """
        ...

    async def resolve(self, query: TagQuery, principal: Principal) -> Address:
        """Answer a manager query with an address by id. Raises `DenizenError`."""
        ...

    async def asgi(
        self,
        address: Address,
        principal: Principal,
        scope: ASGIMessage,
        receive: ASGIReceive,
        send: ASGISend,
    ) -> None:
        """Serve one HTTP request with the actor's own ASGI app; `scope` is already rebased.

        Raises `DenizenError` before anything was sent if the actor has none.
        """
        ...

    def is_ready(self) -> bool:
        """Whether calls can be served now."""
        ...
