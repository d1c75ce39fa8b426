"""Runs the commands of a page's session: its files in a folder, a real server on a free port.

`curl` is understood here, so that no machine needs one; everything else is a process.
"""

import argparse
import http.client
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

DOCUMENTED_PORT = "7420"
START_TIMEOUT_S = 20.0
COMMAND_TIMEOUT_S = 20.0

_DENIZEN = [sys.executable, "-m", "denizen.cli.main"]

_curl = argparse.ArgumentParser()
_curl.add_argument("-X", dest="method", default="GET")
_curl.add_argument("-d", dest="body")
_curl.add_argument("url")


class Session:
    """One reader at one page. A second `denizen dev` takes the place of the first."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self._folder = folder
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        for name, text in files.items():
            (folder / name).write_text(self._on_our_port(text))

    @classmethod
    @contextmanager
    def open(cls, folder: Path, files: dict[str, str]) -> Iterator[Self]:
        """A session whose server, if it has started one, ends with the block."""
        session = cls(folder, files)
        try:
            yield session
        finally:
            session._stop()

    def run(self, line: str) -> str:
        """Run one command and return what it printed. Raises if it fails."""
        match shlex.split(self._on_our_port(line)):
            case ["denizen", "dev", name]:
                return self._start(name)
            case ["denizen", *arguments]:
                return self._process([*_DENIZEN, *arguments, "--url", self._url])
            case ["python", name]:
                return self._process([sys.executable, "-W", "error", name])
            case ["curl", *arguments]:
                return _request(_curl.parse_args(arguments))
            case _:
                raise ValueError(f"A session on a page can't have the command {line!r}.")

    @property
    def server_log(self) -> str:
        """What the page's server has said so far."""
        log = self._folder / "server.log"
        return log.read_text() if log.exists() else ""

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _on_our_port(self, text: str) -> str:
        return text.replace(f":{DOCUMENTED_PORT}", f":{self._port}")

    def _stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def _start(self, name: str) -> str:
        self._stop()
        options = ["--port", str(self._port), "--data", "data", "--no-reload"]
        with (self._folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                [*_DENIZEN, "dev", name, *options], cwd=self._folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self._port):
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"The server of {name} didn't start:\n{self.server_log}")
            time.sleep(0.02)
        return ""

    def _process(self, command: list[str]) -> str:
        ended = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
        )
        assert ended.returncode == 0, f"{command} failed:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout.strip()


def same(printed: str, documented: str) -> bool:
    """Whether both are the same text, or the same JSON."""
    if printed == documented:
        return True
    try:
        return bool(json.loads(printed) == json.loads(documented))
    except ValueError:
        return False


def _request(curl: argparse.Namespace) -> str:
    address = curl.url if "://" in curl.url else f"http://{curl.url}"
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc, timeout=COMMAND_TIMEOUT_S)
    try:
        connection.request(curl.method, url.path, curl.body)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
