"""Libraries work in an action from its first line, and what they start belongs to its actor.

asyncpg needs a PostgreSQL to talk to; what it is made of, streams of asyncio, stands in for it.
"""

import asyncio
from typing import Any

import pytest

from denizen.core.errors import InternalError, UserError
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch


async def test_asyncio_timeout(world: Open) -> None:
    async with world() as system:
        guest = system.get("guest", "a")
        with pytest.raises(InternalError):
            await guest.timeout()
        assert await guest.catch_timeout() == ["cancelled", "timed out"]


@pytest.mark.parametrize(
    ("action", "done"),
    [
        ("group", ["a", "b", "c"]),
        ("gathered", ["x", "y", "z"]),
        ("waited", ["w"]),
        ("shielded", ["s"]),
        ("anyio_group", ["a", "b", "c"]),
        ("in_thread", 6),
        ("anyio_sleep", "failed after"),
        ("current_task", True),
    ],
)
async def test_what_asyncio_and_anyio_offer(world: Open, action: str, done: Any) -> None:
    async with world() as system:
        guest = system.get("guest", "a")
        assert await guest.call(action) == done
        await system.restart()
        assert await guest.read() == (done if isinstance(done, list) else [])


async def test_tasks_of_an_exclusive_action_are_undone_with_it(world: Open) -> None:
    async with world() as system:
        guest = system.get("guest", "a")
        assert await guest.group_alone(False) == list("abcde")
        with pytest.raises(UserError):
            await guest.group_alone(True)
        assert await guest.read() == list("abcde")
        await system.restart()
        assert await guest.read() == list("abcde")


@pytest.mark.parametrize("action", ["with_httpx", "with_aiohttp"])
async def test_http_clients(world: Open, action: str) -> None:
    async with world() as system:
        guest = system.get("guest", "a")
        url = f"{system.url}/actors/counter/a/rpc/increment"
        assert await guest.call(action, url) == {"output": 1}
        assert await guest.read() == ["asked"]


async def test_streams(world: Open) -> None:
    async with world() as system:
        guest = system.get("guest", "a")
        assert await guest.with_streams(system.server.port) == "HTTP/1.1 200 OK"


async def test_context_variables_are_each_call_s_own(world: Open) -> None:
    async with world() as system:
        latch, guest = Latch(system), system.get("guest", "a")
        calls = [asyncio.ensure_future(guest.context(name, name)) for name in ("one", "two")]
        for name in ("one", "two"):
            await latch.arrived(name)
        for name in ("two", "one"):
            await latch.open(name)
        assert await asyncio.gather(*calls) == [["unset", "one", "one"], ["unset", "two", "two"]]
