"""An actor's own ASGI app: requests are activities like any other, behind the same gate."""

import asyncio
import socket
import struct

import httpx
import pytest

from denizen.testing.system import System
from tests.behaviour.conftest import Open
from tests.behaviour.link import Latch, link


def client(system: System) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{system.url}/actors/web/a", timeout=10)


async def test_a_request_reaches_the_app_of_its_actor(world: Open) -> None:
    async with world() as system, client(system) as http:
        answer = await http.get("/http/deep/x%20y?q=1", headers={"x-test": "yes"})
        assert answer.json() == {
            "visits": 1,
            "key": ["a"],
            "path": "/actors/web/a/http/deep/x y",
            "root": "/actors/web/a/http",
            "query": {"q": "1"},
            "header": "yes",
        }
        assert answer.headers["x-own"] == "1"
        assert (await http.get("/http")).status_code == 307
        assert (await http.get("/http/")).json()["visits"] == 2
        assert (await http.get("/http/nowhere")).status_code == 404
        await system.restart()
        assert await system.get("web", "a").read() == [2, 0]


async def test_its_answer_waits_for_what_it_changed(world: Open) -> None:
    async with world() as system, client(system) as http:
        await http.get("/http/")
        system.store.hold()
        request = asyncio.ensure_future(http.get("/http/"))
        await system.store.until_held()
        for _ in range(50):
            await asyncio.sleep(0)
        assert not request.done()
        system.store.release()
        assert (await request).json()["visits"] == 2


async def test_a_body_is_read_as_it_comes(world: Open) -> None:
    async with world() as system, client(system) as http:
        size = 1_000_000
        answer = await http.post("/http/store", content=b"x" * size)
        assert (answer.status_code, answer.text) == (201, str(size))
        assert await system.get("web", "a").read() == [0, size]


async def test_an_answer_leaves_piece_by_piece(world: Open) -> None:
    async with world() as system, client(system) as http:
        latch = Latch(system)
        async with http.stream("GET", "/http/stream") as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"first;"
            await latch.arrived("stream")
            # Other calls go on meanwhile.
            assert await system.get("web", "a").read() == [0, 0]
            system.store.hold()
            await latch.open("stream")
            await system.store.until_held()
            rest = asyncio.ensure_future(anext(pieces))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not rest.done()
            system.store.release()
            assert await rest == b"second;"
        assert await system.get("web", "a").read() == [100, 0]


async def test_an_app_that_fails(world: Open) -> None:
    async with world() as system, client(system) as http:
        answer = await http.get("/http/fail")
        assert (answer.status_code, answer.headers["content-type"][:10]) == (500, "text/plain")
        assert "secret" not in answer.text
        answer = await http.get("/http/refuse")
        assert "secret" not in answer.text
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/http/half")
        assert (await http.get("/http/")).json()["visits"] == 2


async def test_events_of_a_request_reach_subscribers(world: Open) -> None:
    async with world() as system, client(system) as http:
        one = link(system, "web", "a")
        one.subscribe("visited")
        await one.call("read")
        await http.get("/http/")
        assert await one.next() == ("ev", {"n": "visited", "a": [1]})


@pytest.mark.parametrize("is_harsh", [True, False], ids=["reset", "closed"])
async def test_a_client_that_leaves_ends_its_request(world: Open, is_harsh: bool) -> None:
    async with world() as system:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.server.port)
        writer.write(b"GET /actors/web/a/http/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"first;")
        await Latch(system).arrived("stream")
        if is_harsh:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        while await system.get("web", "a").read() != [7, 0]:
            await asyncio.sleep(0.001)


async def test_an_actor_is_destroyed_by_its_app_though_another_request_streams(
    world: Open,
) -> None:
    async with world() as system, client(system) as http:
        latch = Latch(system)
        async with http.stream("GET", "/http/stream") as answer:
            pieces = answer.aiter_raw()
            await anext(pieces)
            await latch.arrived("stream")
            ending = asyncio.ensure_future(http.get("/http/end"))
            for _ in range(50):
                await asyncio.sleep(0)
            await latch.open("stream")
            assert await anext(pieces) == b"second;"
        assert (await ending).text == "ended"
        assert await system.get("web", "a").read() == [0, 0]
