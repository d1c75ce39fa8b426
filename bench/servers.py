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
from bench.generator import Generator

ROOT = Path(__file__).parent.parent
READY_S = 30.0
POLL_S = 0.002


class ServerFailed(Exception):
    """A server under measurement did not start or died."""


@dataclass
class Server:
    """A running process that answers on `port`."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path
    started_at: float
    ready_at: float = field(default=0.0)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Poll until `ready`. Raises `ServerFailed` with the log's end."""
        while time.perf_counter() < self.started_at + READY_S:
            if self.process.poll() is not None:
                break
            if ready():
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
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()


def _pin_to(core: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the bench, which ends them
    os.sched_setaffinity(0, {core})


def spawn(name: str, words: list[str], port: int, directory: Path) -> Server:
    """Start a server on its core, its output in a log beside its data."""
    directory.mkdir(parents=True, exist_ok=True)
    log = directory.with_suffix(".log")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with log.open("ab") as output:
        started_at = time.perf_counter()
        process = subprocess.Popen(
            words,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            preexec_fn=lambda: _pin_to(machine.SERVER_CORE),
        )
    return Server(name, port, process, log, started_at)


@contextmanager
def running(server: Server, ready: Callable[[], bool]) -> Iterator[Server]:
    """A server until the block's end."""
    try:
        server.wait_until(ready)
        yield server
    finally:
        server.stop()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(port: int, path: str, body: bytes | None = None) -> bool:
    """Whether a request is answered 200."""
    try:
        url = f"http://127.0.0.1:{port}{path}"
        with urllib.request.urlopen(url, data=body, timeout=READY_S) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def spawn_denizen(directory: Path) -> Server:
    port = machine.free_port()
    words = [sys.executable, "-m", "denizen.cli.main", "dev", "bench/actors.py"]
    words += ["--port", str(port), "--data", str(directory), "--no-reload"]
    return spawn("Denizen", words, port, directory)


@contextmanager
def denizen(directory: Path) -> Iterator[Server]:
    """`denizen dev bench/actors.py`, ready when its health says so."""
    server = spawn_denizen(directory)
    with running(server, lambda: answers(server.port, "/health")):
        yield server


@contextmanager
def prototype(directory: Path) -> Iterator[Server]:
    """The bare data plane."""
    port = machine.free_port()
    words = [sys.executable, "-m", "bench.prototype", "--port", str(port)]
    server = spawn("prototype", [*words, "--data", str(directory)], port, directory)
    with running(server, lambda: accepts(port)):
        yield server


@contextmanager
def echo(generator: Generator, directory: Path) -> Iterator[Server]:
    """A bare TCP echo in C."""
    port = machine.free_port()
    words = [str(generator.program), "serve-echo", "--port", str(port)]
    server = spawn("echo", words, port, directory)
    with running(server, lambda: accepts(port)):
        yield server
