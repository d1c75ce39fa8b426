"""Handles made from a class: typed results, named arguments, and what a type checker sees."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from denizen.client import Client, SyncClient
from denizen.core.address import Address
from denizen.core.errors import InvalidKey, InvalidResult
from denizen.sdk.actions import action
from denizen.sdk.actor import Actor
from denizen.wire.calls import ActorCalls, ActorProxy
from tests.client.peer import peer

ROOT = Path(__file__).resolve().parents[2]


class Point(msgspec.Struct):
    x: int
    y: float = 0.0


class Recorder(Actor, type="counter"):
    @action
    async def increment(self, by: int = 1) -> int:
        return by

    @action
    async def echo(self, value: Any, other: str = "o") -> Point:
        return Point(value)

    @action
    async def params(self) -> datetime:
        return datetime.now(UTC)

    @action
    async def fail(self, code: str, metadata: Any = None) -> None: ...

    async def helper(self) -> None: ...


@pytest.mark.parametrize("format", ["cbor", "json"])
async def test_results_have_the_types_of_the_hints(format: str) -> None:
    async with peer() as server, Client(server.url, format=format) as client:
        counter = client.get(Recorder, "a")
        assert await counter.increment(2) == 2
        point = await client.get(Recorder, "a").call("echo", Point(1, 2.5))
        assert point == Point(1, 2.5)
        assert server.ran == [{"x": 1, "y": 2.5}]
        with pytest.raises(InvalidResult, match=r"echo.*\$\.x"):
            await client.get(Recorder).call("echo", {"x": "no number"})
        at = datetime(2026, 1, 2, tzinfo=UTC)

        async def answer_time(link: Any, call_id: int) -> None:
            await link.send("ro", i=call_id, o=at.isoformat())

        server.do_params = answer_time
        assert await counter.params() == at


async def test_arguments_may_be_named() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get(Recorder)
        assert await counter.increment(by=3) == 3
        server.ran.clear()
        with pytest.raises(InvalidResult):
            await counter.echo(other="x", value=1)
        assert server.ran == [(1, "x")]
        with pytest.raises(TypeError, match="by_two"):
            await counter.increment(by_two=3)


async def test_only_actions_are_attributes() -> None:
    async with Client() as client:
        counter = client.get(Recorder)
        for name in ("helper", "broadcast", "no_such", "on_start", "_context"):
            with pytest.raises(AttributeError):
                getattr(counter, name)


async def test_a_class_and_its_name_share_a_connection_for_events() -> None:
    async with peer() as server, Client(server.url) as client:
        got: list[int] = []
        client.get("counter", "a").on("changed", got.append)
        await client.get(Recorder, "a").increment()
        await client.get("counter", "a").emit("changed", 5)
        assert got == [5]
        assert len(server.all_links) == 1


async def test_the_sync_twin_converts_too() -> None:
    async with peer() as server:
        import asyncio

        def use() -> int:
            with SyncClient(server.url) as client:
                return client.get(Recorder, "a").increment(by=4)

        assert await asyncio.to_thread(use) == 4


class Journal:
    """A transport that answers with what it was asked."""

    def __init__(self, where: Address) -> None:
        self.where = where

    async def call(self, action: str, args: list[Any], timeout_s: float | None) -> Any:
        return [str(self.where), action, args, timeout_s]


async def test_calls_over_another_transport_look_the_same() -> None:
    calls = ActorCalls(Journal, "shop")
    room = calls.get("room", "a", "b")
    assert isinstance(room, ActorProxy)
    assert await room.say("hello", (1, 2)) == ["room/a,b", "say", ["hello", [1, 2]], None]
    assert await room.call("say", timeout_s=2) == ["room/a,b", "say", [], 2]
    actor_id = "ab" * 16
    by_id = calls.get_by_id("room", actor_id)
    assert (await by_id.say())[0] == f"room/~{actor_id}"
    with pytest.raises(InvalidResult):
        await calls.get(Recorder).increment()
    with pytest.raises(InvalidKey):
        calls.get("room", "x" * 1_025)
    assert repr(room.say) == "<ActionProxy say of <ActorProxy room/a,b>>"


TYPED_USE = """
from typing import assert_type
from denizen.client import ActorHandle, Client, SyncActorHandle, SyncClient
from denizen.sdk.actions import action
from denizen.sdk.actor import Actor
from denizen.wire.calls import ActorCalls, ActorProxy

class Counter(Actor[None]):
    @action
    async def increment(self, by: int = 1) -> int:
        return by

async def use(client: Client, calls: ActorCalls) -> None:
    counter = client.get(Counter, "a")
    assert_type(await counter.increment(2), int)
    assert_type(client.get("counter", "a", params={}), ActorHandle)
    assert_type(client.get_by_id(Counter, "a"), Counter)
    assert_type(await calls.get(Counter, "a").increment(by=1), int)
    assert_type(calls.get("counter", "a"), ActorProxy)
    await client.get("counter").increment(2)

def use_sync(client: SyncClient) -> None:
    assert_type(client.get(Counter, "a"), SyncActorHandle)

async def misuse(client: Client) -> None:
    await client.get(Counter, "a").increment("two")  # wrong: argument
    await client.get(Counter, "a").no_such()  # wrong: attribute
    client.get(int)  # wrong: not an actor
"""


@pytest.mark.deadline(120)
def test_a_type_checker_knows_the_actions(tmp_path: Path) -> None:
    program = tmp_path / "typed_use.py"
    program.write_text(TYPED_USE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    wrong = [at for at, line in enumerate(TYPED_USE.splitlines(), 1) if "# wrong" in line]
    told = sorted(
        int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line
    )
    assert told == wrong, done.stdout + done.stderr
