"""The load generator from Python: builds `loadgen/*.c` once a run, runs it, reads its line.

It is one C thread pinned to its own core. Its share of that core is in every result, so that a
figure which measures the generator instead of the server can be seen.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import machine

SOURCES = Path(__file__).parent / "loadgen"
STALLED_S = 90.0


class GeneratorFailed(Exception):
    """The generator saw a wrong, refused or missing answer, or could not be built."""


class Result(msgspec.Struct, frozen=True):
    """What one run counted.

    Rates and percentiles cover the measured window, `all_replies` warm-up and drain too.
    """

    replies: int
    events: int
    errors: int
    gaps: int
    unanswered: int
    all_replies: int
    last_value: int
    exact: bool
    seconds: float
    rate: float
    event_rate: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    generator_cpu_share: float
    connections: int
    depth: int
    actors: int


@dataclass(frozen=True)
class Load:
    """A piece of work for the generator; `path` gets the actor's number appended."""

    mode: str = "calls"
    path: str = "/actors/counter/k"
    action: str = "increment"
    args: str = "[]"
    connections: int = 1
    depth: int = 1
    actors: int = 1
    first_key: int = 0
    create: int | None = None
    seconds: float = 1.0
    warmup: float = 0.2
    core: int | None = None
    counts_up: bool = True
    """Whether the results must be consecutive integers, each exactly once."""

    def words(self, port: int) -> list[str]:
        """The generator's command line."""
        core = machine.GENERATOR_CORE if self.core is None else self.core
        options: dict[str, Any] = {
            "port": port,
            "path": self.path,
            "action": self.action,
            "args": self.args,
            "connections": self.connections,
            "depth": self.depth,
            "actors": self.actors,
            "first-key": self.first_key,
            "seconds": self.seconds,
            "warmup": self.warmup,
            "core": core,
        }
        if self.create is not None:
            options["create"] = self.create
        words = [self.mode]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        return words


class Generator:
    """The built program."""

    def __init__(self, directory: Path) -> None:
        compiler = machine.find_program("cc") or machine.find_program("gcc")
        if compiler is None:
            raise GeneratorFailed(
                "The load generator is written in C and no compiler was found. "
                "Install one (Debian: apt install gcc libc6-dev) and run this again."
            )
        self.program = directory / "load"
        sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
        words = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(self.program)]
        built = subprocess.run([*words, *sources, "-lm"], capture_output=True, text=True)
        if built.returncode:
            raise GeneratorFailed(f"{compiler} could not build the load generator:\n{built.stderr}")

    def start(self, port: int, load: Load) -> "subprocess.Popen[str]":
        """Begin a load and return at once."""
        return subprocess.Popen(
            [str(self.program), *load.words(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: "subprocess.Popen[str]", load: Load) -> Result:
        """The result of a begun load. Raises `GeneratorFailed` where an answer was wrong."""
        try:
            out, err = process.communicate(timeout=load.seconds + load.warmup + STALLED_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise GeneratorFailed(f"the generator did not end: {load}") from None
        if process.returncode:
            raise GeneratorFailed(f"{err.strip()[-2000:]}\n{out.strip()}\n({load})")
        result = msgspec.convert(json.loads(out), Result)
        if load.counts_up and load.mode == "calls" and not result.exact:
            raise GeneratorFailed(
                f"the results of {load} are not consecutive: a call was lost or ran twice"
            )
        return result

    def run(self, port: int, load: Load) -> Result:
        """Run a load to its end."""
        return self.finish(self.start(port, load), load)
