"""A small world behind the port: an `Actors` that echoes, and the ways of the tests to reach it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from denizen.core.address import Address
from denizen.core.errors import ActorNotFound, InternalError, RpcNotFound, UserError
from denizen.core.limits import Limits
from denizen.core.principal import Principal
from denizen.gateway.admit import Policy, dev
from denizen.gateway.listen import Listener
from denizen.gateway.ports import ASGIMessage, ASGIReceive, ASGISend, ConnectRequest, Peer, TagQuery
from denizen.wire import values

ACTOR_ID = "0" * 31 + "1"


class EchoConnection:
    """Answers each frame with itself, and remembers what befell it."""

    def __init__(self, request: ConnectRequest, peer: Peer) -> None:
        self.request = request
        self.peer = peer
        self.received: list[tuple[bytes, bool]] = []
        self.too_long = 0
        self.lost_count = 0
        self.has_ended = asyncio.Event()

    def receive(self, payload: bytes, is_binary: bool) -> None:
        self.received.append((payload, is_binary))
        if payload == b"raise":
            raise RuntimeError("a bug of the host")
        if payload.startswith(b"close "):
            self.peer.close(int(payload[6:]), "as asked")
        elif payload.startswith(b"flood "):
            for _ in range(int(payload[6:])):
                self.peer.send(b"x" * 10_000, True)
        else:
            self.peer.send(payload, is_binary)

    def receive_too_long(self) -> None:
        self.too_long += 1
        self.peer.send(b"too long", False)

    def lost(self) -> None:
        self.lost_count += 1
        self.has_ended.set()


class EchoActors:
    """`ports.Actors` whose connections echo and whose actions return what they were given."""

    def __init__(self) -> None:
        self.connections: list[EchoConnection] = []
        self.calls: list[tuple[Address, str, list[Any], Principal]] = []
        self.queries: list[TagQuery] = []
        self.is_serving = True
        self.gate = asyncio.Event()

    def connect(self, request: ConnectRequest, peer: Peer) -> EchoConnection:
        connection = EchoConnection(request, peer)
        self.connections.append(connection)
        if request.problem is not None:
            peer.send(f"refused: {type(request.problem).__name__}".encode(), False)
            peer.close(1008, "refused")
        return connection

    async def call(
        self, address: Address, action: str, args: list[Any], principal: Principal
    ) -> bytes:
        self.calls.append((address, action, args, principal))
        if action == "wait":
            await self.gate.wait()
        if action == "fail":
            raise UserError("no luck", code="unlucky", metadata={"at": 3})
        if action == "bug":
            raise ZeroDivisionError("secret")
        if action == "unknown":
            raise RpcNotFound("There is no action of that name.")
        return values.pack({"key": list(address.key), "args": args})

    async def resolve(self, query: TagQuery, principal: Principal) -> Address:
        self.queries.append(query)
        if query.get_for_id == "gone":
            raise ActorNotFound("There is no actor of that id.")
        return Address(query.namespace, (query.tags or {}).get("name", "any"), actor_id=ACTOR_ID)

    async def asgi(
        self,
        address: Address,
        principal: Principal,
        scope: ASGIMessage,
        receive: ASGIReceive,
        send: ASGISend,
    ) -> None:
        if address.type == "bare":
            raise ActorNotFound("The actor has no app.")
        size = 0
        more = scope["path"].endswith("/read")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message["body"])
            more = message["more_body"]
        told = f"{scope['method']} {scope['root_path']} {scope['path']} {size}".encode()
        if scope["path"].endswith("/broken"):
            raise InternalError
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        if scope["path"].endswith("/half"):
            await send({"type": "http.response.body", "body": told, "more_body": True})
            raise RuntimeError("half an answer")
        if scope["path"].endswith("/large"):
            for _ in range(512):
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await send({"type": "http.response.body", "body": told})

    def is_ready(self) -> bool:
        return self.is_serving


@contextlib.asynccontextmanager
async def serving(
    actors: EchoActors | None = None, policy: Policy | None = None, ssl: Any = None, **limits: Any
) -> AsyncIterator[Listener]:
    """An open port with such actors behind it."""
    listener = Listener(actors or EchoActors(), policy or dev(), Limits(**limits), ssl=ssl)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(1.0)


class Raw:
    """A client that sends whatever bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self, timeout_s: float = 10.0) -> bytes:
        """Everything until the server ends the connection; it may end it harshly."""
        async with asyncio.timeout(timeout_s):
            data = bytearray()
            with contextlib.suppress(ConnectionResetError):
                while piece := await self.reader.read(65_536):
                    data += piece
            return bytes(data)

    async def answer(self, timeout_s: float = 10.0) -> tuple[int, bytes, bytes]:
        """One response: status, head, body (by its Content-Length)."""
        async with asyncio.timeout(timeout_s):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ")[1])
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return status, head, await self.reader.readexactly(length)

    async def rest_of_chunks(self, timeout_s: float = 10.0) -> bytes:
        """One response whose body is chunked, raw."""
        async with asyncio.timeout(timeout_s):
            return await self.reader.readuntil(b"\r\n0\r\n\r\n")

    async def frame(self, timeout_s: float = 10.0) -> tuple[int, bytes]:
        """One frame of the server: its first byte and its payload."""
        async with asyncio.timeout(timeout_s):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first, await self.reader.readexactly(size)


@contextlib.asynccontextmanager
async def raw(listener: Listener, ssl: Any = None) -> AsyncIterator[Raw]:
    """A raw connection to the port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=ssl)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)
MASK = b"\x01\x02\x03\x04"


def masked(first: int, payload: bytes, *, announce: int | None = None) -> bytes:
    """A client's frame; `announce` lies about the payload's size."""
    size = len(payload) if announce is None else announce
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    pad = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return head + MASK + mixed.to_bytes(len(payload), "big")


@contextlib.asynccontextmanager
async def socket(
    listener: Listener, path: bytes = b"/actors/a/b/connect", more: bytes = b"", ssl: Any = None
) -> AsyncIterator[Raw]:
    """A raw WebSocket that is open."""
    async with raw(listener, ssl) as client:
        client.send(UPGRADE % (path, more))
        status, head, _ = await client.answer()
        assert status == 101, head
        yield client
