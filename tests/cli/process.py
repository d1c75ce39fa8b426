"""A real `denizen dev` for tests: started, read, called, stopped, killed."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 30.0
DENIZEN = [sys.executable, "-m", "denizen.cli.main"]

_URL = re.compile(r"http://127\.0\.0\.1:(\d+)")


def run_denizen(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [*DENIZEN, *words], capture_output=True, text=True, timeout=PATIENCE_S, cwd=cwd
    )


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Look again and again until `is_so`; fail after `PATIENCE_S`."""
    ends_at = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_at, f"waited {PATIENCE_S:g} s for: {what}"
        time.sleep(0.01)


def accepts(port: int) -> bool:
    """Whether anything listens on that port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Dev:
    """`denizen dev TARGET` in a folder of the test's, on a port that the system chooses.

    `with Dev(...) as dev:` waits until it serves; `wait=False` doesn't. Started again, it takes
    the same port.
    """

    def __init__(self, folder: Path, target: str, *options: str, wait: bool = True) -> None:
        self._folder = folder
        self._words = ["dev", target, *options]
        self._waits = wait
        self._log = folder / "dev.log"
        self._began_at = 0
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it. With `wait`, return once it serves."""
        words = [*self._words, "--port", str(self.port)]
        self._began_at = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*DENIZEN, *words],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        if wait:
            self.wait_for("Ctrl-C ends it")
            found = _URL.search(self.output())
            assert found is not None
            self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """What it printed since its last start."""
        return self._log.read_bytes()[self._began_at :].decode()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has printed `text` so many times. Fails if it ends before."""
        process = self.process
        assert process is not None

        def is_so() -> bool:
            has_ended = process.poll() is not None
            is_there = self.output().count(text) >= times
            assert is_there or not has_ended, f"it ended without {text!r}:\n{self.output()}"
            return is_there

        wait_until(is_so, f"{text!r} in:\n{self.output()}")

    def signal(self, number: int) -> None:
        """Send a signal to the process that was started, and only to it."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self) -> int:
        """The exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def call(self, actor: str, action: str, *args: Any) -> Any:
        """A plain HTTP call's output. Fails if the call does."""
        status, body = self.post(f"/actors/{actor}/rpc/{action}", {"args": args})
        assert status == 200, f"{status} {body}\n{self.output()}"
        return body["output"]

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """Status and JSON of an HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self.start(wait=self._waits)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
