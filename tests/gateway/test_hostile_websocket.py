"""WebSocket, raw frames: the bad ones, the slow ones, the silent ones, and the ends."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.gateway.peer import close_frame
from tests.gateway.world import (
    UPGRADE,
    EchoActors,
    Raw,
    masked,
    raw,
    serving,
    socket,
)

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
PATH = b"/actors/a/b/connect"


def closing(code: int) -> bytes:
    return masked(CLOSE, code.to_bytes(2, "big"))


async def code_of_end(client: Raw) -> int:
    """The code of the close frame that comes next but for pongs and data, and then the end."""
    while True:
        first, payload = await client.frame()
        if first == CLOSE:
            break
    assert await client.rest() == b""
    return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x81\x02hi", 1002),  # unmasked
        (masked(0xC1, b"hi"), 1002),  # a reserved bit
        (masked(0x91, b"hi"), 1002),
        (masked(0x83, b"hi"), 1002),  # an unknown opcode
        (masked(0x8B, b""), 1002),
        (masked(0x80, b"hi"), 1002),  # a continuation of nothing
        (masked(0x01, b"a") + masked(TEXT, b"b"), 1002),  # a message inside another
        (masked(0x09, b""), 1002),  # a ping in parts
        (masked(PING, b"x" * 126), 1002),  # a long ping
        (masked(CLOSE, b"x"), 1002),  # half a code
        (closing(1005), 1002),
        (closing(1006), 1002),
        (closing(999), 1002),
        (closing(0), 1002),
        (closing(5000), 1002),
        (masked(CLOSE, b"\x03\xe8\xff"), 1007),
        (masked(TEXT, b"\xff"), 1007),
        (masked(TEXT, b"\xed\xa0\x80"), 1007),  # a surrogate
        (masked(0x01, b"\xc3") + masked(0x80, b"\x28"), 1007),
        (masked(BINARY, b"", announce=1_048_577), 1009),
        (masked(BINARY, b"", announce=2**62), 1009),
        (masked(BINARY, b"", announce=2**63), 1002),
    ],
)
async def test_a_broken_frame_ends_the_connection_with_its_code(frames: bytes, code: int) -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        async with socket(listener) as client:
            client.send(masked(TEXT, b"before") + frames)
            client.send(masked(TEXT, b"after") * 10)
            assert await client.frame() == (TEXT, b"before")
            assert await code_of_end(client) == code
        assert [payload for payload, _ in actors.connections[0].received] == [b"before"]
        await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)
        assert actors.connections[0].lost_count == 1
        async with socket(listener) as client:
            client.send(masked(TEXT, b"next"))
            assert await client.frame() == (TEXT, b"next")


async def test_a_frame_over_the_limit_is_dropped_and_the_connection_stays() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, socket(listener) as client:
        client.send(masked(BINARY, b"x" * 65_537))
        client.send(masked(BINARY, b"x" * 1_048_576))
        client.send(masked(0x02, b"x" * 60_000) + masked(0x80, b"x" * 60_000))
        client.send(masked(BINARY, b"y" * 65_536))
        for _ in range(3):
            assert await client.frame() == (TEXT, b"too long")
        assert await client.frame() == (BINARY, b"y" * 65_536)
        assert actors.connections[0].too_long == 3


@settings(max_examples=60)
@given(st.binary(max_size=300), st.booleans())
async def test_no_bytes_make_it_stumble(data: bytes, is_masked: bool) -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        async with socket(listener) as client:
            client.send(masked(data[0], data[1:]) if is_masked and data else data)
            client.writer.write_eof()
            await client.rest()
        await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)
        assert actors.connections[0].lost_count == 1


async def test_who_only_pings_and_never_reads_is_not_read_and_dropped() -> None:
    actors = EchoActors()
    limits = {"outgoing_bytes_max": 100_000, "ping_after_s": 0.3, "silence_timeout_s": 0.6}
    async with serving(actors, **limits) as listener, socket(listener) as client:
        connection = actors.connections[0]
        client.writer.transport.pause_reading()
        sending = asyncio.create_task(send_endlessly(client, masked(PING, b"x" * 125) * 1_000))
        try:
            while not connection.has_ended.is_set():
                assert sum(map(len, connection.peer.frames)) <= 200_000
                await asyncio.sleep(0.01)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            client.writer.transport.abort()


async def send_endlessly(client: Raw, data: bytes) -> None:
    while True:
        client.send(data)
        await client.writer.drain()


async def test_a_message_in_parts_is_put_together_with_pings_between() -> None:
    async with serving() as listener, socket(listener) as client:
        client.send(masked(0x01, "hé".encode()[:2]) + masked(PING, b"p"))
        client.send(masked(0x00, "hé".encode()[2:]) + masked(0x00, b"") + masked(0x80, b"!"))
        client.send(masked(0x02, b"") + masked(0x80, b"\xff"))
        assert await client.frame() == (PONG, b"p")
        assert await client.frame() == (TEXT, "hé!".encode())
        assert await client.frame() == (BINARY, b"\xff")


async def test_endless_parts_end_at_the_hard_limit() -> None:
    async with serving() as listener, socket(listener) as client:
        client.send(masked(0x02, b"x" * 60_000))
        for _ in range(40):
            client.send(masked(0x00, b"x" * 60_000))
        assert await code_of_end(client) == 1009


async def test_frames_may_come_byte_by_byte_or_with_the_head() -> None:
    async with serving() as listener, raw(listener) as client:
        client.send(UPGRADE % (PATH, b"") + masked(TEXT, b"a" * 5_000) + masked(TEXT, b"b")[:3])
        status, _, _ = await client.answer()
        assert status == 101
        assert await client.frame() == (TEXT, b"a" * 5_000)
        for byte in masked(TEXT, b"b")[3:]:
            client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await client.frame() == (TEXT, b"b")


async def test_order_with_control_frames_is_kept() -> None:
    async with serving() as listener, socket(listener) as client:
        client.send(
            b"".join(masked(TEXT, b"%d" % n) + masked(PING, b"%d" % n) for n in range(100))
            + masked(TEXT, b"close 4000")
            + masked(TEXT, b"never")
        )
        for n in range(100):
            assert await client.frame() == (TEXT, b"%d" % n)
            assert await client.frame() == (PONG, b"%d" % n)
        assert await client.frame() == (CLOSE, (4000).to_bytes(2, "big") + b"as asked")
        client.send(closing(4000))
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("sent", "answer"), [(closing(1000), 1000), (closing(4321), 4321), (masked(CLOSE, b""), 1000)]
)
async def test_the_server_completes_the_closing_handshake(sent: bytes, answer: int) -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        async with socket(listener) as client:
            client.send(masked(TEXT, b"last") + sent + masked(TEXT, b"never"))
            assert await client.frame() == (TEXT, b"last")
            assert await code_of_end(client) == answer
        await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)
        assert len(actors.connections[0].received) == 1


async def test_a_client_that_never_finishes_closing_is_cut_off() -> None:
    async with serving(closing_timeout_s=0.2) as listener, socket(listener) as client:
        client.send(masked(TEXT, b"close 1000"))
        assert (await client.frame())[0] == CLOSE
        assert await client.rest(5) == b""


async def test_a_silent_connection_is_pinged_and_dropped() -> None:
    actors = EchoActors()
    limits = {"ping_after_s": 0.2, "silence_timeout_s": 0.5}
    async with serving(actors, **limits) as listener:
        async with socket(listener) as client:
            for _ in range(4):
                assert await client.frame(5) == (PING, b"")
                client.send(masked(PONG, b""))
            assert set(await client.rest(5)) <= {PING, 0}
        await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)


async def test_a_bug_of_the_host_ends_one_connection_with_1011() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, socket(listener) as other:
        async with socket(listener) as client:
            client.send(masked(TEXT, b"raise"))
            assert await code_of_end(client) == 1011
        other.send(masked(TEXT, b"fine"))
        assert await other.frame() == (TEXT, b"fine")


async def test_a_slow_reader_is_closed_with_1013_and_its_frames_are_dropped() -> None:
    actors = EchoActors()
    async with (
        serving(actors, outgoing_bytes_max=1_000_000) as listener,
        socket(listener) as client,
        socket(listener) as other,
    ):
        client.writer.transport.pause_reading()
        client.send(masked(TEXT, b"flood 5000"))
        other.send(masked(TEXT, b"fine"))
        assert await other.frame() == (TEXT, b"fine")
        peer = actors.connections[0].peer
        async with asyncio.timeout(5):
            while not peer.is_closed:
                await asyncio.sleep(0)
        assert len(peer.frames) <= 1
        client.writer.transport.resume_reading()
        count = 0
        while (frame := await client.frame())[0] == BINARY:
            assert frame[1] == b"x" * 10_000
            count += 1
        assert frame[0] == CLOSE
        assert int.from_bytes(frame[1][:2], "big") == 1013
        assert 0 < count < 5_000


async def test_who_doesnt_read_isnt_read_from() -> None:
    actors = EchoActors()
    async with (
        serving(actors, outgoing_bytes_max=1_000_000) as listener,
        socket(listener) as client,
    ):
        client.writer.transport.pause_reading()
        client.writer.transport.set_write_buffer_limits(high=0)
        frame = masked(BINARY, b"x" * 60_000)
        for _ in range(400):
            client.send(frame)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.writer.drain(), 0.5)
        peer = actors.connections[0].peer
        assert not peer.is_closed
        assert sum(map(len, peer.frames)) <= 1_000_000
        client.writer.transport.resume_reading()
        for _ in range(400):
            assert await client.frame() == (BINARY, b"x" * 60_000)


async def test_one_frame_larger_than_the_bound_is_sent() -> None:
    actors = EchoActors()
    async with (
        serving(actors, outgoing_bytes_max=100_000) as listener,
        socket(listener) as client,
    ):
        actors.connections[0].peer.send(b"x" * 3_000_000, True)
        assert await client.frame() == (BINARY, b"x" * 3_000_000)


@pytest.mark.parametrize(
    ("path", "more", "problem"),
    [
        (b"/actors/a/%FF/connect", b"", b"InvalidKey"),
        (b"/actors/a/~1/connect", b"", b"InvalidKey"),
        (b"/ns/A/actors/a/b/connect", b"", b"InvalidNamespace"),
        (PATH + b"?params=%zz", b"", b"MalformedConnectionParameters"),
        (PATH + b"?params=%FF", b"", b"MalformedConnectionParameters"),
        (PATH, b"Origin: https://evil.example\r\n", b"Forbidden"),
        (PATH, b"Origin: null\r\n", b"Forbidden"),
    ],
)
async def test_a_refusal_is_an_upgrade_and_a_visible_answer(
    path: bytes, more: bytes, problem: bytes
) -> None:
    actors = EchoActors()
    async with serving(actors) as listener, socket(listener, path, more) as client:
        assert await client.frame() == (TEXT, b"refused: " + problem)
        assert await client.frame() == (CLOSE, close_frame(1008, "refused")[2:])
        client.send(closing(1008))
        assert await client.rest() == b""
    assert actors.connections[0].request.problem is not None


async def test_a_foreign_host_is_refused_too() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as client:
        client.send((UPGRADE % (PATH, b"")).replace(b"localhost", b"evil.example"))
        assert (await client.answer())[0] == 101
        assert await client.frame() == (TEXT, b"refused: Forbidden")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ", 400),
        (b"Connection: keep-alive, Upgrade", b"Connection: keep-alive", 426),
        (b"Host: localhost\r\n", b"Host: localhost\r\nContent-Length: 5\r\n", 400),
        (PATH, b"/actors/a/connect", 404),
        (b"HTTP/1.1", b"HTTP/1.0", 426),
    ],
)
async def test_a_bad_handshake_is_answered_over_http(old: bytes, new: bytes, status: int) -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as client:
        client.send((UPGRADE % (PATH, b"")).replace(old, new))
        answer = await client.answer()
        assert answer[0] == status
        assert (b"sec-websocket-version: 13" in answer[1]) == (b"Version" in old)
    assert actors.connections == []


async def test_parameters_at_their_limit_fit_in_the_head() -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        query = b"?version=1&format=cbor&params=" + b"%22" * 8_192
        async with socket(listener, PATH + query) as client:
            client.send(masked(TEXT, b"hi"))
            assert await client.frame() == (TEXT, b"hi")
    assert actors.connections[0].request.params == '"' * 8_192


async def test_a_kept_connection_may_become_a_websocket() -> None:
    async with serving() as listener, raw(listener) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        client.send(UPGRADE % (PATH, b"") + masked(TEXT, b"hi"))
        for status in (200, 200, 101):
            assert (await client.answer())[0] == status
        assert await client.frame() == (TEXT, b"hi")


async def test_a_lost_client_is_noticed_and_counted() -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        async with socket(listener) as client:
            assert listener.open_sockets == 1
            client.writer.transport.abort()
            await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)
        actors.connections[0].peer.send(b"into the void", True)
        actors.connections[0].peer.close(1000, "")
        assert listener.open_sockets == 0


async def test_sends_from_outside_a_frame_leave_in_one_write_a_turn() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, socket(listener) as client:
        peer = actors.connections[0].peer
        writes: list[bytes] = []
        transport = peer._transport
        peer._transport = Watched(transport, writes)
        for n in range(50):
            peer.send(b"%d" % n, True)
        for n in range(50):
            assert await client.frame() == (BINARY, b"%d" % n)
        assert len(writes) == 1
        client.send(masked(TEXT, b"a") * 64)
        for _ in range(64):
            assert await client.frame() == (TEXT, b"a")
        assert len(writes) <= 3


class Watched:
    """A transport whose writes are seen."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
