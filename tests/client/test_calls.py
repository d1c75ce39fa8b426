"""Calls against a real peer, in both encodings: values, errors, order, bounds, time."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from denizen.client import Client, Settings
from denizen.core.errors import (
    ConnectionParametersTooLong,
    InternalError,
    InvalidArguments,
    InvalidKey,
    InvalidNamespace,
    InvalidProtocolFormat,
    InvalidUrl,
    MalformedConnectionParameters,
    MessageTooLong,
    NotConnected,
    OutcomeUnknown,
    RpcNotFound,
    UserError,
)
from tests.client.peer import peer

both_formats = pytest.mark.parametrize("format", ["cbor", "json"])


@both_formats
async def test_a_call_runs_and_answers(format: str) -> None:
    async with peer() as server, Client(server.url, format=format) as client:
        counter = client.get("counter", "a")
        assert await counter.increment(2) == 2
        assert await counter.call("increment", 3, timeout_s=5) == 5


@both_formats
async def test_values_travel_both_ways(format: str) -> None:
    value = {"text": "ä", "list": [1, -2, 2.5, None, True], "deep": {"big": 2**40}}
    async with peer() as server, Client(server.url, format=format) as client:
        assert await client.get("counter").echo(value) == value
        await client.get("counter").echo(datetime(2026, 1, 2, tzinfo=UTC))
        assert server.ran[-1] == "2026-01-02T00:00:00Z"


@both_formats
async def test_errors_come_as_themselves(format: str) -> None:
    async with peer() as server, Client(server.url, format=format) as client:
        counter = client.get("counter")
        with pytest.raises(UserError, match="can't be done") as own:
            await counter.fail("too_late", {"by": 3})
        assert own.value.user_code == "too_late"
        assert own.value.metadata == {"by": 3}
        with pytest.raises(RpcNotFound):
            await counter.no_such_action()
        with pytest.raises(InternalError):
            await counter.fail("internal_error")


async def test_many_calls_at_once_leave_in_order_and_none_is_refused() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter", "a")
        answers = await asyncio.gather(*(counter.increment() for _ in range(1_000)))
        assert answers == list(range(1, 1_001))


async def test_more_calls_than_may_wait_are_refused_at_once() -> None:
    settings = Settings(calls_in_flight_max=2, waiting_calls_max=3)
    async with peer() as server, Client(server.url, settings=settings) as client:
        counter = client.get("counter", "a")
        calls = [asyncio.ensure_future(counter.increment()) for _ in range(5)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        refused = [error for error in done if isinstance(error, NotConnected)]
        assert len(refused) == 2
        assert server.counts == {"/actors/counter/a/connect": 3}


async def test_equal_handles_share_a_connection() -> None:
    async with peer() as server, Client(server.url) as client:
        await client.get("counter", "a", params={"x": 1, "y": 2}).increment()
        await client.get("counter", "a", params={"y": 2, "x": 1}).increment()
        assert len(server.all_links) == 1
        await client.get("counter", "a", params={"x": 2}).increment()
        await client.get("counter", "a").increment()
        await client.get("counter", "b").increment()
        assert len(server.all_links) == 4


async def test_parameters_arrive_as_json() -> None:
    async with peer() as server, Client(server.url) as client:
        assert await client.get("counter").params() is None
        assert await client.get("counter", params=None).params() == "null"
        assert await client.get("counter", params={"name": "Ä&="}).params() == '{"name":"Ä&="}'


async def test_addresses_are_encoded_once() -> None:
    actor_id = "0123456789abcdef" * 2
    async with (
        peer() as server,
        Client(server.url + "/prefix/") as client,
        Client(server.url, namespace="shop") as other,
    ):
        await client.get("chat.room", "a,b", "c/d", "", "ü%").echo()
        await client.get("counter").echo()
        await client.get_by_id("counter", actor_id).echo()
        await other.get("counter", "-").echo()
        assert [link.path for link in server.all_links] == [
            "/prefix/actors/chat.room/a%2Cb,c%2Fd,,%C3%BC%25/connect",
            "/prefix/actors/counter/-/connect",
            f"/prefix/actors/counter/~{actor_id}/connect",
            "/ns/shop/actors/counter/%2D/connect",
        ]


async def test_what_cant_be_meant_is_refused_before_it_is_sent() -> None:
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(InvalidKey, match="text, not int"):
            client.get("counter", 5)
        with pytest.raises(InvalidKey, match="32 hexadecimal"):
            client.get_by_id("counter", "x")
        with pytest.raises(TypeError, match="neither"):
            client.get(dict)
        with pytest.raises(ConnectionParametersTooLong):
            client.get("counter", params="x" * 8_191)
        with pytest.raises(MalformedConnectionParameters, match=r"\$\.a"):
            client.get("counter", params={"a": object()})
        counter = client.get("counter")
        with pytest.raises(InvalidArguments, match=r"\$\[1\]\.x"):
            await counter.increment(1, {"x": float("nan")})
        with pytest.raises(TypeError, match="by position"):
            counter.increment(by=2)
        with pytest.raises(AttributeError, match="begins with"):
            counter._secret  # noqa: B018
        with pytest.raises(AttributeError):
            counter.__wrapped__  # noqa: B018


@pytest.mark.parametrize(
    "url", ["localhost:7420", "ftp://x", "http://", "http://x:99999", "http://x?y", "http://u@x"]
)
def test_a_url_that_cant_be_read_says_how_to_write_it(url: str) -> None:
    with pytest.raises(InvalidUrl, match=r"http://127\.0\.0\.1:7420"):
        Client(url)


def test_a_wrong_format_or_namespace_is_refused() -> None:
    with pytest.raises(InvalidProtocolFormat, match="cbor"):
        Client(format="xml")
    with pytest.raises(InvalidNamespace):
        Client(namespace="A B")


async def test_a_call_without_an_answer_ends_in_time() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        with pytest.raises(OutcomeUnknown, match="No answer came in time"):
            await counter.call("hang", timeout_s=0.05)
        assert await counter.increment() == 1


async def test_a_call_without_a_server_says_so_in_time() -> None:
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(NotConnected, match="is it running"):
            await client.get("counter").call("increment", timeout_s=0.1)
        with pytest.raises(NotConnected, match="is it running"):
            await client.get("counter").connect(timeout_s=0.1)


async def test_a_cancelled_call_is_forgotten() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        hanging = asyncio.ensure_future(counter.hang())
        await server.until(lambda: server.links and server.links[0].frames)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await server.links[0].send("ro", i=0, o="too late")
        assert await counter.increment() == 1


async def test_a_call_cancelled_before_it_was_sent_never_leaves() -> None:
    async with peer() as server:
        await server.stop()
        async with Client(server.url) as client:
            counter = client.get("counter")
            waiting = asyncio.ensure_future(counter.echo("cancelled"))
            kept = asyncio.ensure_future(counter.echo("kept"))
            await asyncio.sleep(0)
            waiting.cancel()
            await server.start()
            assert await kept == "kept"
            assert server.ran == ["kept"]


async def test_a_frame_over_the_servers_limit_fails_its_call_only() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        hanging = asyncio.ensure_future(counter.hang())
        with pytest.raises(MessageTooLong):
            await counter.too_long("x" * 70_000)
        assert not hanging.done()
        assert await counter.increment() == 1


@both_formats
async def test_answers_to_nobody_are_passed_over(format: str) -> None:
    async with peer() as server, Client(server.url, format=format) as client:
        counter = client.get("counter")
        assert await counter.strange() == "the answer"
        assert await counter.increment() == 1
        assert len(server.all_links) == 1


async def test_a_large_answer_arrives_in_fragments_too() -> None:
    text = "x" * 3_000_000

    async def in_fragments(link: Any, call_id: int) -> None:
        import cbor2

        payload = cbor2.dumps({"body": {"ro": {"i": call_id, "o": text}}})
        await link.socket.send([payload[:10], payload[10:2_000_000], payload[2_000_000:]])

    async with peer() as server, Client(server.url) as client:
        server.do_fragments = in_fragments
        assert await client.get("counter").fragments() == text


async def test_closing_settles_every_call() -> None:
    async with peer() as server:
        client = Client(server.url)
        counter = client.get("counter")
        hanging = asyncio.ensure_future(counter.hang())
        await server.until(lambda: server.links and server.links[0].frames)
        await client.close()
        with pytest.raises(OutcomeUnknown):
            await hanging
        with pytest.raises(NotConnected, match="closed"):
            await counter.increment()
        with pytest.raises(NotConnected, match="closed"):
            await client.get("counter", "other").increment()
        await client.close()
        await server.until(lambda: not server.links)
