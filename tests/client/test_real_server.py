"""The client against the server itself: the same behaviour as against the peer, end to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from denizen.client import Client, Settings, SyncClient
from denizen.core.errors import (
    ActorTypeNotFound,
    ConnectionParametersTooLong,
    InternalError,
    InvalidArguments,
    MessageTooLong,
    RpcNotFound,
    RpcTimedOut,
    UserError,
)
from denizen.sdk import Actor, action
from denizen.server import Options, Server
from tests.client.inbox import Inbox

QUICK = Settings(call_timeout_s=10, retry_first_s=0.02, retry_max_s=0.1, refusal_pause_s=0)


class RoomState(msgspec.Struct):
    lines: list[str] = []


class Line(msgspec.Struct):
    text: str
    at: datetime


class Room(Actor[RoomState]):
    async def on_before_connect(self, params: Any) -> str:
        if params == "go away":
            raise UserError("You are not welcome.", code="unwelcome", metadata={"why": "rude"})
        return str(params)

    @action
    async def say(self, text: str, loudly: bool = False) -> int:
        self.state.lines.append(text.upper() if loudly else text)
        self.broadcast("said", text, len(self.state.lines))
        return len(self.state.lines)

    @action
    async def lines(self) -> list[str]:
        return self.state.lines

    @action
    async def last(self) -> Line:
        return Line(self.state.lines[-1], datetime(2026, 1, 2, tzinfo=UTC))

    @action
    async def who(self) -> str:
        assert self.caller is not None
        return str(self.caller.state)

    @action
    async def fail(self) -> None:
        raise ValueError("a secret")

    @action(timeout_s=0.05)
    async def sleep(self) -> None:
        await asyncio.sleep(60)

    @action
    async def leave(self) -> None:
        assert self.caller is not None
        self.caller.disconnect("goodbye")

    @action
    async def end(self) -> None:
        self.destroy()

    @action
    async def tell(self, room: str, text: str) -> int:
        return await self.client.get(Room, room).say(text)


@asynccontextmanager
async def serve(data: Path, port: int = 0) -> AsyncIterator[Server]:
    async with Server(Options(store_url=f"sqlite:///{data}/data.db", port=port), [Room]) as server:
        yield server


both_formats = pytest.mark.parametrize("format", ["cbor", "json"])


@both_formats
async def test_calls_events_and_typed_results(tmp_path: Path, format: str) -> None:
    async with (
        serve(tmp_path) as server,
        Client(server.url, format=format, settings=QUICK) as client,
    ):
        room = client.get(Room, "a")
        heard = Inbox()
        client.get("room", "a").on("said", heard)
        assert await room.say("hello") == 1
        assert await room.say("again", loudly=True) == 2
        assert await room.lines() == ["hello", "AGAIN"]
        assert await room.last() == Line("AGAIN", datetime(2026, 1, 2, tzinfo=UTC))
        assert await heard.has(2) == ["hello", "again"]
        assert await room.tell("b", "from a") == 1
        assert await client.get(Room, "b").lines() == ["from a"]


@both_formats
async def test_errors_of_the_server(tmp_path: Path, format: str) -> None:
    async with (
        serve(tmp_path) as server,
        Client(server.url, format=format, settings=QUICK) as client,
    ):
        room = client.get("room", "a")
        with pytest.raises(RpcNotFound):
            await room.no_such()
        with pytest.raises(InvalidArguments, match=r"\$\[0\]"):
            await room.say(5)
        with pytest.raises(InternalError, match="Read the actor logs") as hidden:
            await room.fail()
        assert "secret" not in str(hidden.value)
        with pytest.raises(RpcTimedOut):
            await room.sleep()
        with pytest.raises(MessageTooLong):
            await room.say("x" * 70_000)
        assert await room.say("still here") == 1


@both_formats
async def test_refusals(tmp_path: Path, format: str) -> None:
    async with (
        serve(tmp_path) as server,
        Client(server.url, format=format, settings=QUICK) as client,
    ):
        with pytest.raises(UserError, match="not welcome") as refusal:
            await client.get("room", "a", params="go away").lines()
        assert refusal.value.user_code == "unwelcome"
        assert refusal.value.metadata == {"why": "rude"}
        with pytest.raises(ActorTypeNotFound):
            await client.get("no_such_type", "a").lines()
        with pytest.raises(ConnectionParametersTooLong):
            client.get("room", "a", params="x" * 8_191)
        assert await client.get("room", "a", params={"name": "Ä"}).who() == "{'name': 'Ä'}"


async def test_many_calls_keep_their_order(tmp_path: Path) -> None:
    async with serve(tmp_path) as server, Client(server.url, settings=QUICK) as client:
        room = client.get("room", "a")
        texts = [str(number) for number in range(600)]
        assert await asyncio.gather(*map(room.say, texts)) == list(range(1, 601))
        assert await room.lines() == texts


async def test_a_server_that_is_started_again(tmp_path: Path) -> None:
    async with serve(tmp_path) as server:
        port = server.port
        client = Client(server.url, settings=QUICK)
        room = client.get("room", "a")
        heard = Inbox()
        room.on("said", heard)
        assert await room.say("before") == 1
    waiting = asyncio.ensure_future(room.say("after"))
    async with serve(tmp_path, port), client:
        assert await waiting == 2
        assert await heard.has(2) == ["before", "after"]


async def test_destroyed_and_dismissed(tmp_path: Path) -> None:
    async with serve(tmp_path) as server, Client(server.url, settings=QUICK) as client:
        room = client.get("room", "a")
        assert await room.say("one") == 1
        await room.end()
        await client._sockets.finish(timeout_s=5)  # the destroyed one's connection is closed
        assert await room.lines() == []
        await room.leave()  # answered before the goodbye
        assert await room.say("back") == 1


async def test_the_sync_twin(tmp_path: Path) -> None:
    def use(url: str) -> list[str]:
        with SyncClient(url, settings=QUICK) as client:
            room = client.get(Room, "a")
            room.say("from a thread")
            return room.lines()

    async with serve(tmp_path) as server:
        assert await asyncio.to_thread(use, server.url) == ["from a thread"]
