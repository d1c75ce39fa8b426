"""The processes under measurement: how each is started, pinned, known to be ready, and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from bench.generator import Generator, Load

ROOT = Path(__file__).parent.parent
READY_S = 30.0
STOP_S = 10.0
POLL_S = 0.002


class ServerFailed(Exception):
    """A server under measurement did not start or died."""


def unchanged(load: Load) -> Load:
    return load


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_healthy(port: int) -> bool:
    """Whether `/health` answers 200."""
    try:
        url = f"http://127.0.0.1:{port}/health"
        with urllib.request.urlopen(url, timeout=READY_S) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def makes_first_call(port: int) -> bool:
    """Whether one durable call over a new WebSocket is answered."""
    return bool(call_once(port, "/actors/counter/first", "increment"))


def look(port: int) -> bytes:
    """What the bench's first counter answers when asked for its value."""
    return call_once(port, "/actors/counter/k0", "get")


def call_once(port: int, path: str, action: str) -> bytes:
    """All bytes that came back up to a call's result, or none."""
    head = (
        f"GET {path}/connect?version=1&format=json HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    call = f'{{"body":{{"rr":{{"i":0,"n":"{action}","a":[]}}}}}}'.encode()
    frame = bytes([0x81, 0x80 | len(call), 0, 0, 0, 0]) + call  # masked with zeros: as it is
    return exchange(port, head.encode() + frame, b'"ro"')


def exchange(port: int, request: bytes, wanted: bytes) -> bytes:
    """The answer as soon as it has `wanted` in it; nothing from a server that isn't up yet."""
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=READY_S) as peer:
            peer.sendall(request)
            while wanted not in answer:
                more = peer.recv(4096)
                if not more:
                    return b""
                answer += more
    except ConnectionError:
        return b""
    return answer


@dataclass(frozen=True)
class System:
    """Something that can be started and put under a load."""

    name: str
    words: Callable[[int, Path], list[str]]
    """The command line for a port and a data directory."""
    is_ready: Callable[[int], bool] = accepts
    makes_first_call: Callable[[int], bool] = makes_first_call
    look: Callable[[int], bytes] = look
    """The first counter's value as it comes over the wire, to be compared with a later look."""
    adapt: Callable[[Load], Load] = unchanged
    """Puts a load in its words."""

    def spawn(self, directory: Path) -> "Server":
        """Start it on its core, its output in a log beside its data, without waiting."""
        directory.mkdir(parents=True, exist_ok=True)
        log, port = directory.with_suffix(".log"), machine.free_port()
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        # A user's machine keeps the bytecode: whether this shell does is not what is measured.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with log.open("ab") as output:
            started_at = time.perf_counter()
            process = subprocess.Popen(
                self.words(port, directory),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env=environment,
                preexec_fn=_on_server_core,
            )
        return Server(self, port, directory, process, log, started_at)

    @contextmanager
    def running(self, directory: Path) -> "Iterator[Server]":
        """A server that is ready, until the block's end."""
        server = self.spawn(directory)
        try:
            server.wait_until(self.is_ready)
            yield server
        finally:
            server.stop()


@dataclass
class Server:
    """A running process that answers on `port`."""

    system: System
    port: int
    data: Path
    process: "subprocess.Popen[bytes]"
    log: Path
    started_at: float
    ready_at: float = field(default=0.0)

    @property
    def name(self) -> str:
        return self.system.name

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, ready: Callable[[int], bool]) -> None:
        """Poll until `ready`. Raises `ServerFailed` with the log's end."""
        while time.perf_counter() < self.started_at + READY_S:
            if self.process.poll() is not None:
                break
            if ready(self.port):
                self.ready_at = time.perf_counter()
                return
            time.sleep(POLL_S)
        tail = self.log.read_text(errors="replace")[-3000:]
        raise ServerFailed(f"{self.name} did not come up; its log ends with:\n{tail}")

    def kill(self) -> None:
        """SIGKILL: nothing is given the chance to be saved."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()


def _on_server_core() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the bench, which ends them
    os.sched_setaffinity(0, {machine.SERVER_CORE})


def _denizen_words(port: int, directory: Path) -> list[str]:
    words = [sys.executable, "-m", "denizen.cli.main", "dev", "bench/actors.py"]
    return [*words, "--port", str(port), "--data", str(directory), "--no-reload"]


def _prototype_words(port: int, directory: Path) -> list[str]:
    words = [sys.executable, "-m", "bench.prototype"]
    return [*words, "--port", str(port), "--data", str(directory)]


DENIZEN = System("Denizen", _denizen_words, is_healthy)
PROTOTYPE = System("prototype", _prototype_words)


def echo(generator: Generator) -> System:
    """A bare TCP echo in C."""
    program = str(generator.program)
    return System("echo", lambda port, _: [program, "serve-echo", "--port", str(port)])
