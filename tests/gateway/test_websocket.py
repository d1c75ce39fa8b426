"""WebSocket, the good cases: with a client library and with raw frames."""

import asyncio

import websockets

from tests.gateway.world import EchoActors, serving


def url(listener: object, rest: str) -> str:
    return f"ws://127.0.0.1:{listener.port}{rest}"  # type: ignore[attr-defined]


async def test_frames_of_both_kinds_come_back_and_the_query_is_decoded() -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        params = "%7B%22a%22%3A%22%C3%A9+b%22%7D"
        rest = f"/actors/chat/a%2Cb,c%2Fd/connect?version=1&format=json&params={params}"
        async with websockets.connect(url(listener, rest)) as client:
            await client.send("héllo")
            assert await client.recv() == "héllo"
            for size in (0, 1, 125, 126, 65_535, 65_536):
                await client.send(b"x" * size)
                assert await client.recv() == b"x" * size
        connection = actors.connections[0]
        await asyncio.wait_for(connection.has_ended.wait(), 5)
    request = connection.request
    assert request.problem is None
    assert request.address is not None
    assert request.address.key == ("a,b", "c/d")
    assert (request.version, request.format, request.params) == ("1", "json", '{"a":"é b"}')
    assert connection.lost_count == 1
