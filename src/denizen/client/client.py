"""The client: a server's URL, and the actors behind it."""

import ssl
from typing import Any, Self, overload
from urllib.parse import quote, urlsplit
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET

from denizen.client.connection import Connection
from denizen.client.handle import ActorHandle
from denizen.client.settings import DEFAULT, Settings
from denizen.client.sockets import Dial, picows_dial
from denizen.client.tasks import TaskSet
from denizen.core.address import DEFAULT_NAMESPACE, Address, check_namespace
from denizen.core.errors import (
    ConnectionParametersTooLong,
    InvalidProtocolFormat,
    InvalidUrl,
    MalformedConnectionParameters,
)
from denizen.core.limits import DEFAULT as LIMITS
from denizen.wire.calls import A, ActorClass, address_by_id, address_of, hints_for
from denizen.wire.v1 import CODECS
from denizen.wire.values import Unencodable, plain

DEFAULT_URL = "http://127.0.0.1:7420"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Client:
    """Calls actors and gets their events.

        async with Client("http://127.0.0.1:7420") as client:
            counter = client.get("counter", "a")
            counter.on("changed", print)
            await counter.increment(2)

    It belongs to the event loop on which it is first used. Nothing is opened before that, and what
    breaks is opened again while somebody needs it.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        format: str = "cbor",
        settings: Settings = DEFAULT,
        tls: ssl.SSLContext | None = None,
        dial: Dial | None = None,
    ) -> None:
        """A client of the server at `url` (`http`, `https`, `ws` or `wss`; it may have a path).

        format: "cbor" or "json", how values travel; json has no bytes, they arrive as base64 text.
        settings: times and bounds. tls: for certificates that the system doesn't know.
        dial: how sockets are opened; for tests without a network.
        Raises `InvalidUrl`, `InvalidNamespace`, `InvalidProtocolFormat`.
        """
        if format not in CODECS:
            raise InvalidProtocolFormat(f"format is one of {', '.join(CODECS)}, not {format!r}.")
        self._base_url = _websocket_url(url)
        self._namespace = check_namespace(namespace)
        self._codec = CODECS[format]
        self._settings = settings
        self._dial = picows_dial(settings, tls) if dial is None else dial
        # A connection lives while a handle, an open socket or a timer holds it.
        self._connections: WeakValueDictionary[str, Connection] = WeakValueDictionary()
        self._sockets = TaskSet()
        self._handlers = TaskSet()
        self._is_closed = False

    @overload
    def get(self, actor: str, *key: str, params: object = UNSET) -> ActorHandle: ...

    @overload
    def get(self, actor: type[A], *key: str, params: object = UNSET) -> A: ...

    def get(self, actor: str | type[ActorClass], *key: str, params: object = UNSET) -> Any:
        """The actor of a type and key. Nothing is sent: the first call creates it where need be.

        Given the actor's class instead of the type's name, results have the types of its hints, and
        arguments may be named. params: what the actor's `on_before_connect` gets, any JSON value.
        Raises `InvalidKey`, `ConnectionParametersTooLong`, `MalformedConnectionParameters`.
        """
        return self._handle(actor, address_of(self._namespace, actor, key), params)

    @overload
    def get_by_id(self, actor: str, actor_id: str, *, params: object = UNSET) -> ActorHandle: ...

    @overload
    def get_by_id(self, actor: type[A], actor_id: str, *, params: object = UNSET) -> A: ...

    def get_by_id(
        self, actor: str | type[ActorClass], actor_id: str, *, params: object = UNSET
    ) -> Any:
        """The actor of a type and id. Once destroyed, calls raise `ActorDestroyed` for ever."""
        return self._handle(actor, address_by_id(self._namespace, actor, actor_id), params)

    async def close(self) -> None:
        """Settle every call, close every connection and cancel async handlers that still run."""
        self._is_closed = True
        for connection in list(self._connections.values()):
            connection.close()
        await self._handlers.finish(0)
        await self._sockets.finish(self._settings.close_timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _handle(self, actor: str | type[ActorClass], where: Address, params: object) -> ActorHandle:
        return ActorHandle(where, self._connection(where, params), hints_for(actor))

    def _connection(self, where: Address, params: object) -> Connection:
        query = f"version=1&format={self._codec.name}"
        if params is not UNSET:
            query += f"&params={_encode_params(params)}"
        url = f"{self._base_url}{where.path}/connect?{query}"
        connection = self._connections.get(url)
        if connection is None:
            connection = Connection(
                url,
                self._codec,
                self._dial,
                self._settings,
                sockets=self._sockets,
                handlers=self._handlers,
            )
            self._connections[url] = connection
            if self._is_closed:
                connection.close()
        return connection


def _websocket_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidUrl(f"{url!r} isn't a server's URL: write it like {DEFAULT_URL}.")
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"


def _encode_params(params: object) -> str:
    try:
        encoded = msgspec.json.encode(plain(params), order="sorted")
    except Unencodable as error:
        raise MalformedConnectionParameters(
            f"The connection's parameters can't be sent as JSON: {error.reason} - at `{error.path}`"
        ) from None
    if len(encoded) > LIMITS.connection_parameters_bytes_max:
        raise ConnectionParametersTooLong(
            f"The connection's parameters have {len(encoded)} bytes as JSON, "
            f"at most {LIMITS.connection_parameters_bytes_max} can be sent."
        )
    return quote(encoded, safe="")
