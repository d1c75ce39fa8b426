"""Events: who gets them, in which order, and what handlers may do."""

import asyncio
import logging
from typing import Any

import pytest

from denizen.client import Client, Settings
from tests.client.inbox import Inbox
from tests.client.peer import peer


async def test_handlers_get_the_arguments_in_order() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        got: list[Any] = []
        counter.on("changed", lambda *args: got.append(args))
        for number in range(5):
            await counter.emit("changed", number, "x")
        assert got == [(number, "x") for number in range(5)]


async def test_a_handler_taken_off_is_called_no_more() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        first: list[int] = []
        second: list[int] = []
        off_first = counter.on("changed", first.append)
        off_second = counter.on("changed", second.append)
        await counter.emit("changed", 1)
        off_first()
        off_first()
        await counter.emit("changed", 2)
        off_second()
        await counter.emit("changed", 3)
        assert (first, second) == ([1], [1, 2])
        assert server.links[0].subscriptions == set()
        subscribed = [frame["s"] for frame in server.links[0].frames if frame["kind"] == "sr"]
        assert subscribed == [True, False]


async def test_once_is_once() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        got: list[int] = []
        counter.once("changed", got.append)
        never = counter.once("other", got.append)
        never()
        await counter.emit("changed", 1)
        await counter.emit("changed", 2)
        await counter.emit("other", 3)
        assert got == [1]
        assert server.links[0].subscriptions == set()


async def test_events_of_equal_handles_arrive_at_each() -> None:
    async with peer() as server, Client(server.url) as client:
        got = Inbox()
        client.get("counter", "a").on("changed", lambda: got("first"))
        client.get("counter", "a").on("changed", lambda: got("second"))
        client.get("counter", "b").on("changed", lambda: got("another actor"))
        await client.get("counter", "b").increment()
        await client.get("counter", "a").emit("changed")
        assert sorted(await got.has(3)) == ["another actor", "first", "second"]
        assert got.items.index("first") < got.items.index("second")


async def test_a_handler_that_raises_is_logged_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        got = Inbox()

        async def async_broken(_: int) -> None:
            raise KeyError("async and broken")

        def broken(_: int) -> None:
            raise KeyError("broken")

        counter.on("changed", broken)
        counter.on("changed", async_broken)
        counter.on("changed", got)
        with caplog.at_level(logging.ERROR, "denizen.client"):
            await counter.emit("changed", 1)
            await got.has(1)
        assert "'broken'" in caplog.text
        assert "async and broken" in caplog.text
        assert await counter.increment() == 1


async def test_an_async_handler_may_call_and_keeps_the_order() -> None:
    async with peer() as server, Client(server.url) as client:
        counter = client.get("counter")
        got = Inbox()

        async def ask(number: int) -> None:
            got(("begins", number))
            got(("answer", await counter.echo(number)))

        counter.on("changed", ask)
        counter.on("changed", lambda number: got(("next", number)))
        await counter.emit("changed", 1)
        await counter.emit("changed", 2)
        assert await got.has(6) == [
            (what, number) for number in (1, 2) for what in ("begins", "answer", "next")
        ]


async def test_too_many_waiting_events_are_dropped_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings(events_waiting_max=3)
    async with peer() as server, Client(server.url, settings=settings) as client:
        counter = client.get("counter")
        may_end = asyncio.Event()
        got = Inbox()

        async def slow(number: int) -> None:
            await may_end.wait()
            got(number)

        counter.on("changed", slow)
        with caplog.at_level(logging.ERROR, "denizen.client"):
            for number in range(10):
                await counter.emit("changed", number)
            may_end.set()
            assert await got.has(4) == [0, 1, 2, 3]
        assert "too slow" in caplog.text
        await counter.emit("changed", 10)
        assert await got.has(5) == [0, 1, 2, 3, 10]


async def test_closing_ends_handlers_that_still_run() -> None:
    async with peer() as server:
        ended = asyncio.Event()
        began = asyncio.Event()

        async def endless() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with Client(server.url) as client:
            counter = client.get("counter")
            counter.on("changed", endless)
            await counter.emit("changed")
            await began.wait()
        assert ended.is_set()


async def test_a_handler_may_close_the_client() -> None:
    async with peer() as server:
        client = Client(server.url)
        closed = asyncio.Event()

        async def enough() -> None:
            await client.close()
            closed.set()

        counter = client.get("counter")
        counter.on("changed", enough)
        await counter.emit("changed")
        await closed.wait()


async def test_what_isnt_callable_is_refused() -> None:
    async with Client() as client:
        with pytest.raises(TypeError, match="function"):
            client.get("counter").on("changed", "print")
