"""Bad HTTP against the open port: each is answered or cut off, and the next request is fine."""

import asyncio
import resource

import pytest

from tests.gateway.test_guard import AMBIGUOUS
from tests.gateway.world import EchoActors, Raw, raw, serving

CALL = b"POST /actors/c/a/rpc/x HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
GOOD = CALL % b""


async def is_fine(listener: object) -> bool:
    async with raw(listener) as client:  # type: ignore[arg-type]
        client.send(GOOD)
        return (await client.answer())[0] == 200


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize("bad", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_what_is_ambiguous_is_answered_400_and_cut_off(bad: bytes) -> None:
    actors = EchoActors()
    async with serving(actors) as listener:
        async with raw(listener) as client:
            client.send(bad + GOOD)
            answer = await client.rest()
        assert status_of(answer) == 400
        assert b'"malformed_message"' in answer
        assert answer.count(b"\r\nconnection: close\r\n") == 1
        assert actors.calls == []
        assert await is_fine(listener)


async def test_a_million_headers_are_answered_431_and_cost_no_memory() -> None:
    async with serving() as listener:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with raw(listener) as client:
            client.send(GOOD[:-2])
            for _ in range(100):
                client.send(b"a: b\r\n" * 10_000)
                await asyncio.sleep(0)
            answer = await client.rest()
        # 60 MB were sent; the client's own buffer may hold a part of them.
        assert status_of(answer) == 431
        assert b'"head_too_large"' in answer
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
        assert await is_fine(listener)


@pytest.mark.parametrize("piece", [b"G" * 60_000, b"GET /" + b"a" * 60_000])
async def test_an_endless_request_line_is_answered_431(piece: bytes) -> None:
    async with serving() as listener:
        async with raw(listener) as client:
            client.send(piece)
            assert status_of(await client.rest()) == 431
        assert await is_fine(listener)


async def test_a_head_of_30_kib_passes() -> None:
    async with serving() as listener, raw(listener) as client:
        client.send(CALL % (b"A: " + b"x" * 30_000 + b"\r\n"))
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize("sent", [b"", b"GE", GOOD[:-1], GOOD + GOOD[:-1], GOOD])
async def test_a_client_that_stops_sending_is_cut_off(sent: bytes) -> None:
    async with serving(head_timeout_s=0.2, idle_timeout_s=0.2) as listener:
        async with raw(listener) as client:
            client.send(sent)
            answer = await client.rest(5)
            assert answer.count(b"HTTP/1.1 200") == sent.count(GOOD)
        assert await is_fine(listener)


async def test_a_byte_now_and_then_doesnt_stretch_the_deadline() -> None:
    async with serving(head_timeout_s=0.3) as listener, raw(listener) as client:
        client.send(GOOD)
        await client.answer()
        dripping = asyncio.create_task(drip(client))
        try:
            assert await client.rest(5) == b""
        finally:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)


async def drip(client: Raw) -> None:
    for byte in GOOD * 10:
        client.send(bytes((byte,)))
        await asyncio.sleep(0.02)


async def test_a_body_that_never_comes_is_answered_408() -> None:
    async with serving(body_timeout_s=0.2) as listener:
        async with raw(listener) as client:
            client.send(CALL % b"Content-Length: 10\r\n" + b"{")
            answer = await client.rest(5)
            assert status_of(answer) == 408
            assert b'"request_timed_out"' in answer
        assert await is_fine(listener)


@pytest.mark.parametrize(
    "body", [CALL % b"Content-Length: 2000000\r\n", CALL % b"Transfer-Encoding: chunked\r\n"]
)
async def test_a_body_over_its_limit_is_answered_413_and_read_no_further(body: bytes) -> None:
    actors = EchoActors()
    async with serving(actors, body_bytes_max=1_000_000) as listener:
        async with raw(listener) as client:
            client.send(body)
            for _ in range(40):
                client.send(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
            answer = await client.rest()
        assert status_of(answer) == 413
        assert b'"message_too_long"' in answer
        assert actors.calls == []
        assert await is_fine(listener)


async def test_too_many_requests_a_second_are_answered_429() -> None:
    async with serving(requests_per_second_max=5) as listener:
        async with raw(listener) as client:
            client.send(GOOD * 30)
            answer = await client.rest()
        assert answer.count(b"HTTP/1.1 200") == 5
        assert answer.count(b"HTTP/1.1 429") == 1
        assert b"retry-after: 1" in answer
        assert await is_fine(listener)


async def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as client:
        wait = b"POST /actors/c/a/rpc/wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.send(wait + GOOD * 500)
        while not actors.calls:
            await asyncio.sleep(0)
        # What waits isn't even looked at while the first is running.
        assert len(actors.calls) == 1
        actors.gate.set()
        for _ in range(501):
            assert (await client.answer())[0] == 200
    assert len(actors.calls) == 501


async def test_endless_pipelining_is_held_back() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as client:
        client.send(b"POST /actors/c/a/rpc/wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not actors.calls:
            await asyncio.sleep(0)
        client.writer.transport.set_write_buffer_limits(high=0)
        for _ in range(200):
            client.send(GOOD * 1_000)
        # 13 MB were sent: the server has stopped reading, so most of them are still here.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.writer.drain(), 0.3)
        assert len(actors.calls) == 1
        assert await is_fine(listener)
        client.writer.transport.abort()


async def test_an_old_client_is_answered_and_closed() -> None:
    async with serving() as listener, raw(listener) as client:
        client.send(b"POST /actors/c/a/rpc/x HTTP/1.0\r\n\r\n")
        answer = await client.rest()
        assert status_of(answer) == 200
        assert b"connection: close" in answer


async def test_a_client_may_close_its_side_and_still_get_the_answer() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as client:
        client.send(b"POST /actors/c/a/rpc/wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.writer.write_eof()
        while not actors.calls:
            await asyncio.sleep(0)
        actors.gate.set()
        assert status_of(await client.rest()) == 200


async def test_a_client_that_expects_100_gets_it_or_the_refusal() -> None:
    async with serving(body_bytes_max=1_000) as listener:
        async with raw(listener) as client:
            client.send(CALL % b"Content-Length: 2\r\nExpect: 100-continue\r\n")
            assert (await client.answer())[0] == 100
            client.send(b"{}")
            assert (await client.answer())[0] == 200
        async with raw(listener) as client:
            client.send(CALL % b"Content-Length: 2000\r\nExpect: 100-continue\r\n")
            assert (await client.answer())[0] == 413


async def test_an_early_answer_doesnt_stop_the_connection() -> None:
    async with serving() as listener, raw(listener) as client:
        # The own app answers without reading; the rest of the body comes later.
        client.send(b"POST /actors/c/a/http/ HTTP/1.1\r\nHost: localhost\r\n")
        client.send(b"Content-Length: 400000\r\n\r\n" + b"x" * 1_000)
        assert (await client.rest_of_chunks()).startswith(b"HTTP/1.1 200")
        client.send(b"x" * 399_000 + GOOD)
        assert (await client.answer())[0] == 200


async def test_a_reader_that_stops_reading_is_cut_off() -> None:
    async with serving(idle_timeout_s=0.3) as listener:
        async with raw(listener) as client:
            client.writer.transport.pause_reading()
            client.send(b"GET /actors/c/a/http/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not listener.open_sockets:
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                while listener.open_sockets:
                    await asyncio.sleep(0.01)
        assert await is_fine(listener)


async def test_sockets_over_the_bound_are_closed_at_once() -> None:
    async with serving(sockets_max=2) as listener:
        async with raw(listener) as first, raw(listener) as second:
            for client in (first, second):
                client.send(GOOD)
                assert (await client.answer())[0] == 200
            async with raw(listener) as third:
                third.send(GOOD)
                assert await third.rest() == b""
        async with asyncio.timeout(5):
            while listener.open_sockets:
                await asyncio.sleep(0)
        assert await is_fine(listener)


async def test_an_upgrade_to_something_else_is_plain_http() -> None:
    async with serving() as listener, raw(listener) as client:
        for _ in range(2):
            client.send(CALL % b"Upgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AA\r\n")
            assert (await client.answer())[0] == 200
