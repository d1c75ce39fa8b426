"""The port: TLS, both loops, a taken port, a graceful stop."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import websockets

from denizen.core.errors import PortUnavailable
from denizen.gateway.admit import dev
from denizen.gateway.listen import Listener
from tests.gateway.world import EchoActors, masked, raw, serving, socket

CALL = b"POST /actors/c/a/rpc/%b HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context around one certificate made for localhost."""
    folder: Path = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        [*words.split(), "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
        timeout=30,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=folder / "cert.pem")


async def test_one_port_speaks_websocket_and_http_through_tls(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = contexts
    async with serving(ssl=server) as listener:
        root = f"127.0.0.1:{listener.port}"
        async with httpx.AsyncClient(base_url=f"https://{root}", verify=client) as http:
            answer = await http.post("/actors/c/a/rpc/x", content=b'{"args":[1]}')
            assert answer.json() == {"output": {"key": ["a"], "args": [1]}}
            config = await http.get("/manager/rivet/config")
            assert config.json() == {"endpoint": f"https://{root}/api"}
            answer = await http.get("/actors/c/a/http/large")
            assert len(answer.content) > 512 * 65_536
        async with websockets.connect(f"wss://{root}/actors/c/a/connect", ssl=client) as ws:
            for size in (10, 60_000, 65_536):
                await ws.send(b"x" * size)
                assert await ws.recv() == b"x" * size
            await ws.send("raise")
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011


async def test_bad_bytes_under_tls_are_answered(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = contexts
    limits = {"closing_timeout_s": 0.3, "head_timeout_s": 1.0}
    async with serving(ssl=server, **limits) as listener:
        async with raw(listener, client) as bad:
            bad.send(b"GET / HTTP/1.1\r\n\r\n")
            assert (await bad.rest()).startswith(b"HTTP/1.1 400")
        async with socket(listener, ssl=client) as bad:
            bad.send(masked(0x83, b"hi"))
            assert (await bad.frame())[0] == 0x88
            assert await bad.rest() == b""
        async with raw(listener) as bad:
            bad.send(CALL % b"x")  # plain HTTP to a TLS port
            assert b"200" not in await bad.rest()
        async with socket(listener, ssl=client) as good:
            good.send(masked(0x81, b"hi"))
            assert await good.frame() == (0x81, b"hi")


def test_the_plain_asyncio_loop_serves_too(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = contexts

    async def check() -> None:
        for context, their in ((None, None), (server, client)):
            actors = EchoActors()
            async with serving(actors, ssl=context) as listener:
                async with raw(listener, their) as http:
                    for _ in range(3):
                        http.send(CALL % b"x")
                        assert (await http.answer())[0] == 200
                async with socket(listener, ssl=their) as ws:
                    ws.send(b"".join(masked(0x82, b"%d" % n) for n in range(100)))
                    for n in range(100):
                        assert await ws.frame() == (0x82, b"%d" % n)
                    ws.send(masked(0x88, b"\x03\xe8"))
                    assert (await ws.frame())[0] == 0x88
                    assert await ws.rest() == b""
                async with socket(listener, ssl=their) as ws:
                    ws.send(masked(0x81, b"before") + b"\x81\x02hi")
                    assert await ws.frame() == (0x81, b"before")
                    assert (await ws.frame())[1][:2] == (1002).to_bytes(2, "big")
                await asyncio.wait_for(actors.connections[0].has_ended.wait(), 5)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(asyncio.wait_for(check(), 30))


async def test_a_taken_port_says_what_to_do() -> None:
    async with serving() as listener:
        other = Listener(EchoActors(), dev(), port=listener.port)
        with pytest.raises(PortUnavailable, match=f"Port {listener.port} .* choose another"):
            await other.start()
        await other.stop()


async def test_a_stop_lets_a_running_request_end_and_moves_websockets() -> None:
    actors = EchoActors()
    async with (
        serving(actors) as listener,
        raw(listener) as idle,
        raw(listener) as busy,
        socket(listener) as ws,
    ):
        idle.send(CALL % b"x")
        assert (await idle.answer())[0] == 200
        busy.send(CALL % b"wait")
        while len(actors.calls) < 2:
            await asyncio.sleep(0)
        port = listener.port
        stopping = asyncio.create_task(listener.stop(5.0))
        first, payload = await ws.frame()
        assert (first, payload[:2]) == (0x88, (1012).to_bytes(2, "big"))
        ws.send(masked(0x88, payload[:2]))
        assert await ws.rest() == b""
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        actors.gate.set()
        assert (await busy.answer())[0] == 200
        assert await busy.rest() == b""
        await asyncio.wait_for(stopping, 5)
    assert listener.open_sockets == 0


async def test_a_stop_cuts_off_what_outlasts_its_grace() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, raw(listener) as busy, socket(listener) as ws:
        busy.send(CALL % b"wait")
        while not actors.calls:
            await asyncio.sleep(0)
        await asyncio.wait_for(listener.stop(0.1), 5)
        assert await busy.rest() == b""
        assert (await ws.frame())[0] == 0x88
    assert actors.connections[0].lost_count == 1
