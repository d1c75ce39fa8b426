"""A real server process: started on a port, killed with all its children, started again."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.cli.process import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]

_URL = re.compile(rb"http://127\.0\.0\.1:(\d+)")


def dev_words(data: Path) -> list[str]:
    """`denizen dev` with the actors of these proofs."""
    target = str(Path(__file__).with_name("actors.py"))
    words = [sys.executable, "-m", "denizen.cli.main", "dev", target, "--no-reload"]
    return [*words, "--data", str(data)]


def mutant_words(data: Path, mutation: str) -> list[str]:
    """The same server with a safeguard removed."""
    return [sys.executable, "-m", "tests.durability.mutant", mutation, "--data", str(data)]


class Process:
    """`with Process(words, log) as process:`; started again, it takes the same port."""

    def __init__(self, words: list[str], log: Path) -> None:
        self._words = words
        self._log = log
        self._running: subprocess.Popen[bytes] | None = None
        self.port = 0

    def spawn(self) -> None:
        """Start it and don't wait."""
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                [*self._words, "--port", str(self.port)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def check_alive(self) -> None:
        """Fail, with what it printed, if it has ended."""
        assert self._running is not None
        assert self._running.poll() is None, f"it ended:\n{self._log.read_text()}"

    def kill(self) -> None:
        """SIGKILL to all of it at once."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, and wait for its end."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        assert self._running is not None
        if self._running.poll() is None:
            os.killpg(self._running.pid, number)
        self._running.wait(PATIENCE_S)

    def _has_said_where(self) -> bool:
        self.check_alive()
        found = _URL.search(self._log.read_bytes())
        self.port = int(found[1]) if found else 0
        return found is not None

    def __enter__(self) -> Self:
        self.spawn()
        try:
            wait_until(self._has_said_where, "its greeting")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
