"""A client that knows protocol v1 only as this file writes it: no codec and no client of ours."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import cbor2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from denizen.testing.system import System

FORMATS = ("json", "cbor")
COVERED: set[str] = set()


def seen(code: str) -> str:
    """Note that a test has seen this error code on the wire."""
    COVERED.add(code)
    return code


class Raw:
    """One WebSocket. Frames are plain data, encoded as `format` says."""

    def __init__(self, socket: ClientConnection, format: str) -> None:
        self.socket = socket
        self.format = format

    def encoded(self, frame: Any) -> str | bytes:
        return json.dumps(frame) if self.format == "json" else cbor2.dumps(frame)

    async def send(self, frame: Any) -> None:
        await self.socket.send(self.encoded(frame))

    async def call(self, call_id: int, action: str, *args: Any) -> None:
        await self.send({"body": {"rr": {"i": call_id, "n": action, "a": list(args)}}})

    async def subscribe(self, event: str, is_on: bool = True) -> None:
        await self.send({"body": {"sr": {"e": event, "s": is_on}}})

    async def frame(self) -> Any:
        """The next frame, whole; of the kind that the format has."""
        payload = await self.socket.recv()
        if self.format == "json":
            assert isinstance(payload, str), "a json connection gets text only"
            return json.loads(payload)
        assert isinstance(payload, bytes), "a cbor connection gets binary frames only"
        return cbor2.loads(payload)

    async def body(self) -> dict[str, Any]:
        frame = await self.frame()
        assert set(frame) == {"body"}
        assert len(frame["body"]) == 1
        assert set(frame["body"]) <= {"ro", "re", "ev", "er"}
        body: dict[str, Any] = frame["body"]
        return body

    async def error(self) -> tuple[str, dict[str, Any]]:
        """The next frame, an error: its code, and all of it."""
        ((_, error),) = (await self.body()).items()
        return seen(error["c"]), error

    async def close_code(self) -> int:
        """Read to the end."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code


@contextlib.asynccontextmanager
async def opened(
    system: System,
    address: str,
    format: str,
    *,
    version: str | None = "1",
    params: str | None = None,
    origin: str | None = None,
    prefix: str = "/actors/",
) -> AsyncIterator[Raw]:
    """Connect to `type/key`, raw as it stands in a path."""
    query = [f"format={format}"] if format else []
    query += [f"version={version}"] if version is not None else []
    query += [f"params={quote(params, safe='')}"] if params is not None else []
    url = system.url.replace("http", "ws", 1) + prefix + address + "/connect?" + "&".join(query)
    async with connect(url, origin=origin, max_size=None) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol is None
        yield Raw(socket, format if format in FORMATS else "json")
