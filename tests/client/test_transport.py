"""What carries the frames: TLS, and the event loop that Python brings along."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from denizen.client import Client
from denizen.core.errors import NotConnected
from tests.client.peer import peer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key, in one file."""
    path = tmp_path / "both.pem"
    words = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout - -out -"
    )
    made = subprocess.run(words.split(), capture_output=True, check=True)
    path.write_bytes(made.stdout)
    return path


async def test_tls_with_a_certificate_that_is_known(certificate: Path) -> None:
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    known = ssl.create_default_context(cafile=certificate)
    async with peer(ours) as server, Client(server.url, tls=known) as client:
        assert server.url.startswith("https:")
        assert await client.get("counter").increment() == 1


async def test_tls_with_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    async with peer(ours) as server, Client(server.url) as client:
        with pytest.raises(NotConnected, match=r"TLS failed.*certificate"):
            await client.get("counter").call("increment", timeout_s=10)


def test_the_loop_of_the_standard_library_will_do() -> None:
    async def use() -> None:
        async with peer() as server, Client(server.url) as client:
            counter = client.get("counter")
            assert await counter.increment() == 1
            await server.stop()
            await server.start()
            assert await counter.increment() == 2

    asyncio.run(use())


def test_a_client_that_nobody_closes_ends_with_its_loop() -> None:
    async def use() -> None:
        async with peer() as server:
            counter = Client(server.url).get("counter")
            counter.on("changed", print)
            assert await counter.increment() == 1

    asyncio.run(use())
