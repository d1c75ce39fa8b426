"""A peer that speaks protocol v1 with a library of its own, and misbehaves when it is told to.

It knows one counter for each path. Frames are made by hand here, so that the client is tested
against the protocol and not against our own codecs.
"""

import asyncio
import json
import ssl
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import cbor2
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Link:
    """One connection as the peer has it."""

    def __init__(self, socket: ServerConnection) -> None:
        parts = urlsplit(socket.request.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        self.socket = socket
        self.path = parts.path
        self.query = {name: values[0] for name, values in query.items()}
        self.is_binary = self.query["format"] == "cbor"
        self.subscriptions: set[str] = set()
        self.frames: list[dict[str, Any]] = []

    async def send(self, kind: str, **frame: Any) -> None:
        await self.send_raw({"body": {kind: frame}})

    async def send_raw(self, frame: Any) -> None:
        await self.socket.send(cbor2.dumps(frame) if self.is_binary else json.dumps(frame))

    def decode(self, payload: bytes | str) -> dict[str, Any]:
        assert isinstance(payload, bytes) is self.is_binary, "a frame of the wrong kind"
        frame = cbor2.loads(payload) if isinstance(payload, bytes) else json.loads(payload)
        (kind, content), *more = frame["body"].items()
        assert not more, "a body has one member"
        return {"kind": kind, **content}


class Peer:
    """The server. `links` are the connections that stand, `all_links` all that ever were."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.links: list[Link] = []
        self.all_links: list[Link] = []
        self.counts: dict[str, int] = defaultdict(int)
        self.ran: list[Any] = []
        self.refusal: tuple[str, str] | None = None
        self.is_deaf = False
        self.changed = asyncio.Condition()
        self.port = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port again after a stop."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=self.tls,
            ping_interval=None,
            compression=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection off, as a process does that is killed."""
        assert self._server is not None
        for link in self.links:
            link.socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    async def until(self, is_so: Any) -> None:
        """Wait until `is_so()`, looked at whenever something happens here."""
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(is_so)

    async def emit(self, event: str, *args: Any) -> None:
        for link in self.links:
            if event in link.subscriptions:
                await link.send("ev", n=event, a=list(args))

    async def _serve(self, socket: ServerConnection) -> None:
        link = Link(socket)
        if self.refusal is not None:
            self.all_links.append(link)
            code, message = self.refusal
            await link.send("er", c=code, m=message)
            await socket.close(1008, code)
            await self._tell()
            return
        self.links.append(link)
        self.all_links.append(link)
        await self._tell()
        try:
            async for payload in socket:
                if not self.is_deaf:
                    await self._handle(link, link.decode(payload))
        except ConnectionClosed:
            pass
        finally:
            self.links.remove(link)
            await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _handle(self, link: Link, frame: dict[str, Any]) -> None:
        link.frames.append(frame)
        if frame["kind"] == "sr":
            (link.subscriptions.add if frame["s"] else link.subscriptions.discard)(frame["e"])
        else:
            await getattr(self, f"do_{frame['n']}", self._do_unknown)(link, frame["i"], *frame["a"])
        await self._tell()

    async def _do_unknown(self, link: Link, call_id: int, *_: Any) -> None:
        await link.send("re", i=call_id, c="rpc_not_found", m="There is no such action.")

    async def do_increment(self, link: Link, call_id: int, by: int = 1) -> None:
        self.counts[unquote(link.path)] += by
        await link.send("ro", i=call_id, o=self.counts[unquote(link.path)])

    async def do_echo(self, link: Link, call_id: int, *args: Any) -> None:
        self.ran.append(args[0] if len(args) == 1 else args)
        await link.send("ro", i=call_id, o=args[0] if len(args) == 1 else list(args))

    async def do_params(self, link: Link, call_id: int) -> None:
        await link.send("ro", i=call_id, o=link.query.get("params"))

    async def do_fail(self, link: Link, call_id: int, code: str, metadata: Any = None) -> None:
        md = {} if metadata is None else {"md": metadata}
        await link.send("re", i=call_id, c=code, m="It can't be done.", **md)

    async def do_hang(self, link: Link, call_id: int) -> None:
        """Begin and don't end; `release` answers."""

    async def do_too_long(self, link: Link, call_id: int, *_: Any) -> None:
        await link.send("er", c="message_too_long", m="At most 65,536 bytes.")

    async def do_close(self, link: Link, call_id: int, code: int, reason: str = "") -> None:
        await link.socket.close(code, reason)

    async def do_destroy(self, link: Link, call_id: int) -> None:
        await link.send("er", c="actor_destroyed", m="The actor was destroyed.")
        await link.socket.close(1000, "actor_destroyed")

    async def do_emit(self, link: Link, call_id: int, event: str, *args: Any) -> None:
        await self.emit(event, *args)
        await link.send("ro", i=call_id, o=None)

    async def do_strange(self, link: Link, call_id: int) -> None:
        await link.send("ro", i=call_id + 1_000_000, o="an answer to nobody")
        await link.send("ev", n="nobody subscribed", a=[])
        await link.send("ro", i=call_id, o="the answer")
        await link.send("ro", i=call_id, o="a second answer")

    async def do_garbage(self, link: Link, call_id: int) -> None:
        await link.socket.send(b"\xff\xff" if link.is_binary else "no JSON")


@asynccontextmanager
async def peer(tls: ssl.SSLContext | None = None) -> Any:
    """A peer that listens."""
    made = Peer(tls)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
