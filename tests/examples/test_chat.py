"""The chat example's actor over HTTP and WebSocket; its page is tried in tests/browser."""

import asyncio
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denizen import Client, UserError
from tests.cli.process import Dev

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("chat")
    with Dev(folder, str(EXAMPLES / "chat.py"), "--no-reload") as dev:
        yield dev


def get(dev: Dev, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def texts(room: dict[str, Any]) -> list[str]:
    return [message["text"] for message in room["messages"]]


def test_the_page_and_all_that_it_links_are_served(dev: Dev) -> None:
    base = "/actors/chat_room/lobby/http/"
    assert f"{dev.url}{base}" in dev.output()
    names = {"": "text/html", "chat.css": "text/css", "icon.svg": "image/svg+xml"}
    names |= dict.fromkeys(("chat.js", "connection.js"), "text/javascript")
    assert {path.name for path in (EXAMPLES / "chat").iterdir()} == {*names, "index.html"} - {""}
    for name, media_type in names.items():
        status, headers, body = get(dev, base + name)
        assert (status, headers["content-type"].partition(";")[0]) == (200, media_type)
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert body == (EXAMPLES / "chat" / (name or "index.html")).read_bytes()
    assert get(dev, base + "chat.py")[0] == 404
    assert get(dev, base + "../chat.py")[0] == 404


async def test_what_is_said_is_heard_and_kept(dev: Dev) -> None:
    async with Client(dev.url) as client:
        ann = client.get("chat_room", "talk", params={"name": "Ann"})
        bob = client.get("chat_room", "talk", params={"name": "Bob"})
        heard: asyncio.Queue[Any] = asyncio.Queue()
        bob.on("said", heard.put_nowait)
        assert texts(await bob.enter()) == []
        number = await ann.say("  hello ")
        message = await heard.get()
        assert (message["id"], message["name"], message["text"]) == (number, "Ann", "hello")
        assert (await bob.enter())["messages"] == [message]


async def test_who_is_here(dev: Dev) -> None:
    async with Client(dev.url) as client:
        ann = client.get("chat_room", "people", params={"name": "Ann"})
        here: asyncio.Queue[list[str]] = asyncio.Queue()
        ann.on("here", here.put_nowait)
        assert (await ann.enter())["here"] == ["Ann"]
        async with Client(dev.url) as other:
            await other.get("chat_room", "people", params={"name": "Bob"}).enter()
            assert await here.get() == ["Ann", "Bob"]
            twin = other.get("chat_room", "people", params={"name": "Ann", "twin": True})
            assert (await twin.enter())["here"] == ["Ann", "Bob"]
            assert await here.get() == ["Ann", "Bob"]
        assert {tuple(await here.get()), tuple(await here.get())} >= {("Ann",)}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (None, "name_missing"),
        ("Ann", "name_missing"),
        ({"name": 5}, "name_missing"),
        ({"name": " \t"}, "name_invalid"),
        ({"name": "a\u202eb"}, "name_invalid"),
        ({"name": "x" * 33}, "name_invalid"),
    ],
)
async def test_nobody_comes_in_without_a_name(dev: Dev, params: object, code: str) -> None:
    async with Client(dev.url) as client:
        with pytest.raises(UserError) as refused:
            await client.get("chat_room", "door", params=params).enter()
        assert refused.value.user_code == code


async def test_a_message_has_bounds(dev: Dev) -> None:
    async with Client(dev.url) as client:
        ann = client.get("chat_room", "bounds", params={"name": "Ann"})
        for text, code in ((" \n ", "text_missing"), ("x" * 2_001, "text_too_long")):
            with pytest.raises(UserError) as refused:
                await ann.say(text)
            assert refused.value.user_code == code
        assert await ann.say("x" * 2_000) == 1
    status, body = dev.post("/actors/chat_room/bounds/rpc/say", {"args": ["hello"]})
    assert (status, body["code"]) == (400, "name_missing")


async def test_history_is_bounded_and_survives(tmp_path: Path) -> None:
    with Dev(tmp_path, str(EXAMPLES / "chat.py"), "--no-reload") as dev:
        async with Client(dev.url) as client:
            ann = client.get("chat_room", "long", params={"name": "Ann"})
            for number in range(230):
                await ann.say(f"message {number}")
        dev.kill()
        dev.start()
        room = dev.call("chat_room/long", "enter")
        assert texts(room) == [f"message {number}" for number in range(30, 230)]
