"""Pins what `gateway.exchange` uses of uvicorn's insides: a new version must keep each point."""

import asyncio
import inspect
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


class FakeTransport:
    """What uvicorn may ask of a transport, and nothing else."""

    def __init__(self) -> None:
        self.written = b""
        self.calls: list[str] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "close" in self.calls

    def close(self) -> None:
        self.calls.append("close")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


async def app(scope: Any, receive: Any, send: Any) -> None:
    more = scope["path"] == "/read"
    while more:
        message = await receive()
        more = message.get("more_body", False)
    if scope["path"] == "/wait":
        assert (await receive())["type"] == "http.disconnect"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


class Probe(HttpToolsProtocol):
    """Ours in small."""

    def __init__(self) -> None:
        config = Config(app, loop="none", ws="none", lifespan="off", log_config=None)
        config.load()
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        self.ended = asyncio.Event()
        self.refused = ""
        super().__init__(config, self.state, {})
        self.fake = FakeTransport()
        self.connection_made(self.fake)  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        self.ended.set()

    def send_400_response(self, msg: str) -> None:
        self.refused = msg


def request(path: bytes, headers: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path, headers)


async def test_it_is_the_version_that_was_read() -> None:
    assert uvicorn.__version__.startswith("0.54.")
    names = list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    assert names[1:4] == ["config", "server_state", "app_state"]
    assert not hasattr(RequestResponseCycle, "response_started")


async def test_it_tells_us_of_the_end_of_each_response() -> None:
    probe = Probe()
    for _ in range(2):
        probe.ended.clear()
        probe.data_received(request(b"/"))
        assert not probe.cycle.response_started
        await asyncio.wait_for(probe.ended.wait(), 5)
        assert probe.cycle.response_started
        assert probe.cycle.response_complete
    assert probe.fake.written.count(b"HTTP/1.1 200 OK\r\ndate: today\r\n") == 2
    # No timer, no closing: those are ours.
    assert probe.timeout_keep_alive_task is None
    assert probe.fake.calls == []


async def test_it_holds_and_releases_reading_through_the_transport() -> None:
    probe = Probe()
    probe.data_received(request(b"/read", b"Content-Length: 200000\r\n") + b"x" * 100_000)
    assert probe.fake.calls == ["pause"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert probe.fake.calls == ["pause", "resume"]
    probe.data_received(b"x" * 100_000)
    await asyncio.wait_for(probe.ended.wait(), 5)


async def test_a_lost_connection_tells_the_app_and_drops_its_answer() -> None:
    probe = Probe()
    probe.data_received(request(b"/wait", b"Content-Length: 5\r\n"))
    await asyncio.sleep(0)
    probe.connection_lost(ConnectionResetError())
    await asyncio.gather(*probe.state.tasks)
    assert probe.fake.written == b""
    assert probe.fake.calls == []


async def test_it_asks_us_to_close_and_to_refuse() -> None:
    probe = Probe()
    probe.data_received(request(b"/", b"Connection: close\r\n"))
    await asyncio.wait_for(probe.ended.wait(), 5)
    assert probe.fake.calls == ["close"]
    probe = Probe()
    probe.data_received(b"nonsense\r\n\r\n")
    assert probe.refused
    assert probe.fake.calls == []
