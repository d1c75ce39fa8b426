"""What a client does when the server goes, comes back, refuses or says goodbye."""

import asyncio
import gc
import logging
from typing import Any

import pytest

from denizen.client import Client, Settings
from denizen.client.endings import Ending
from denizen.core.errors import (
    ActorDestroyed,
    ActorTypeNotFound,
    Forbidden,
    NotConnected,
    OutcomeUnknown,
)
from tests.client.peer import Peer, peer

QUICK = Settings(retry_first_s=0.02, retry_max_s=0.1, refusal_pause_s=0.2)


async def test_calls_wait_for_the_server_and_leave_in_order() -> None:
    async with peer() as server:
        await server.stop()
        async with Client(server.url, settings=QUICK) as client:
            counter = client.get("counter")
            calls = [asyncio.ensure_future(counter.echo(number)) for number in range(20)]
            await asyncio.sleep(0)
            await server.start()
            assert await asyncio.gather(*calls) == list(range(20))
            assert server.ran == list(range(20))


async def test_what_was_sent_to_a_killed_server_is_unknown_and_not_sent_again() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        sent = asyncio.ensure_future(counter.hang())
        await server.until(lambda: server.links and server.links[0].frames)
        await server.stop()
        with pytest.raises(OutcomeUnknown, match="may have run"):
            await sent
        await server.start()
        assert await counter.increment() == 1
        names = [frame["n"] for link in server.all_links for frame in link.frames]
        assert names == ["hang", "increment"]


async def test_subscriptions_come_back_before_calls_do() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        got: list[Any] = []
        counter.on("changed", got.append)
        off = counter.on("gone", got.append)
        assert await counter.increment() == 1
        off()
        await server.stop()
        call = asyncio.ensure_future(counter.increment())
        await server.start()
        assert await call == 2
        kinds = [(frame["kind"], frame.get("e")) for frame in server.links[0].frames]
        assert kinds == [("sr", "changed"), ("rr", None)]
        await server.emit("changed", 2)
        await counter.increment()
        assert got == [2]


@pytest.mark.parametrize("code", [1001, 1009, 1011, 1012, 4321])
async def test_a_close_by_the_server_is_followed_by_a_new_connection(code: int) -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        counter.on("changed", print)
        with pytest.raises(OutcomeUnknown):
            await counter.close(code)
        await server.until(lambda: len(server.all_links) == 2)
        assert await counter.increment() == 1


async def test_a_refused_connection_tells_pending_and_later_calls_and_isnt_retried() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        server.refusal = ("actor_type_not_found", "There is no type 'counter'.")
        counter = client.get("counter")
        counter.on("changed", print)
        results = await asyncio.gather(
            *(counter.increment() for _ in range(3)), return_exceptions=True
        )
        assert {type(error) for error in results} == {ActorTypeNotFound}
        with pytest.raises(ActorTypeNotFound, match="no type 'counter'"):
            await counter.increment()
        assert len(server.all_links) == 1


async def test_after_its_pause_a_refusal_is_asked_again() -> None:
    settings = Settings(refusal_pause_s=0)
    async with peer() as server, Client(server.url, settings=settings) as client:
        counter = client.get("counter")
        counter.on("changed", print)
        server.refusal = ("forbidden", "Not yet.")
        with pytest.raises(Forbidden):
            await counter.increment()
        server.refusal = None
        assert await counter.increment() == 1
        assert server.links[0].subscriptions == {"changed"}


async def test_a_refusal_that_nobody_waits_for_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        server.refusal = ("forbidden", "Not you.")
        with caplog.at_level(logging.WARNING, "denizen.client"):
            client.get("counter", params={"token": "hidden"}).on("changed", print)
            await server.until(lambda: server.all_links)
            await client._sockets.finish(timeout_s=5)
        assert "Not you." in caplog.text
        assert "hidden" not in caplog.text


async def test_destroyed_is_told_and_a_fresh_call_creates_anew() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        with pytest.raises(ActorDestroyed):
            await counter.destroy()
        assert await counter.increment() == 1


async def test_a_goodbye_is_not_answered_with_a_reconnect() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        counter.on("changed", print)
        with pytest.raises(OutcomeUnknown):
            await counter.close(1000, "too noisy")
        assert len(server.all_links) == 1
        assert await counter.increment() == 1
        assert server.links[0].subscriptions == {"changed"}


async def test_an_unreadable_frame_breaks_the_connection_and_nothing_else() -> None:
    async with peer() as server, Client(server.url, settings=QUICK) as client:
        counter = client.get("counter")
        with pytest.raises(OutcomeUnknown):
            await counter.garbage()
        assert await counter.increment() == 1


async def test_a_silent_server_is_noticed() -> None:
    """The connection stands, and nobody is behind it: no answer, no pong."""
    mute = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(_upgrade(head))
        await mute.wait()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(silence_s=0.1)
    async with server, Client(f"http://127.0.0.1:{port}", settings=settings) as client:
        with pytest.raises(OutcomeUnknown, match="broke"):
            await client.get("counter").increment()
        mute.set()
        await client.close()


def _upgrade(head: bytes) -> bytes:
    from websockets.utils import accept_key

    key = next(
        line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accepted = accept_key(key.split(b":")[1].strip().decode())
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"403 Forbidden", Forbidden, "Not from there."),
        (b"404 Not Found", NotConnected, "404"),
        (b"503 Service Unavailable", NotConnected, "not sent in time"),
        (b"rubbish", NotConnected, "not sent in time"),
    ],
)
async def test_an_answer_that_is_no_websocket(
    answer: bytes, error: type[Exception], text: str
) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"code":"forbidden","message":"Not from there."}' if b"403" in answer else b"?"
        length = str(len(body)).encode()
        writer.write(b"HTTP/1.1 " + answer + b"\r\nContent-Length: " + length + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Client(url, settings=QUICK) as client:
        with pytest.raises(error, match=text):
            await client.get("counter").call("increment", timeout_s=0.3)


async def test_an_unused_connection_is_closed_and_opens_again() -> None:
    settings = Settings(idle_s=0.04)
    async with peer() as server, Client(server.url, settings=settings) as client:
        counter = client.get("counter")
        await counter.increment()
        await server.until(lambda: not server.links)
        assert await counter.increment() == 2
        off = counter.on("changed", print)
        await _idle_time_passes(server, client)
        assert server.links
        off()
        await server.until(lambda: not server.links)


async def test_connect_keeps_a_connection_until_disconnect() -> None:
    settings = Settings(idle_s=0.04, retry_first_s=0.01)
    async with peer() as server, Client(server.url, settings=settings) as client:
        counter = client.get("counter")
        await counter.connect()
        await server.stop()
        await server.start()
        await server.until(lambda: server.links)
        await _idle_time_passes(server, client)
        assert server.links
        await counter.disconnect()
        await server.until(lambda: not server.links)


async def _idle_time_passes(server: Peer, client: Client) -> None:
    """Wait until a connection that nobody needs, younger than all others, has been let go."""
    await client.get("unused").increment()
    (unused,) = [link for link in server.links if "unused" in link.path]
    await server.until(lambda: unused not in server.links)


async def test_a_dial_of_ones_own_may_fail_in_any_way() -> None:
    async def dial(url: str, receiver: Any) -> Ending:
        raise ValueError("no such wire")

    async with Client("http://nowhere", dial=dial, settings=QUICK) as client:
        with pytest.raises(NotConnected, match="no such wire"):
            await client.get("counter").call("increment", timeout_s=0.05)


async def test_handles_that_nobody_holds_leave_no_connection() -> None:
    async with peer() as server, Client(server.url, settings=Settings(idle_s=0.04)) as client:
        for number in range(20):
            await client.get("counter", str(number)).increment()
        await client._sockets.finish(timeout_s=5)
        assert not server.links
        gc.collect()
        assert not client._connections
