"""What every measurement is given, and how systems are compared: in turns, by medians."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from bench.generator import Generator, Load, Result
from bench.report import Report
from bench.servers import Server

BUSY_GENERATOR = 0.85


@dataclass
class Measured:
    """One server's rounds of one load. Figures are medians over the rounds."""

    results: list[Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def _median(self, of: Callable[[Result], float]) -> float:
        return statistics.median(of(result) for result in self.results)

    @property
    def rate(self) -> float:
        """Replies a second."""
        return self._median(lambda result: result.rate)

    @property
    def event_rate(self) -> float:
        """Events delivered a second."""
        return self._median(lambda result: result.event_rate)

    @property
    def p50_us(self) -> float:
        return self._median(lambda result: result.p50_us)

    @property
    def p99_us(self) -> float:
        return self._median(lambda result: result.p99_us)

    @property
    def cpu_us_per_call(self) -> float:
        """The server's CPU for each call, in microseconds."""
        return statistics.median(self.cpu_us)

    @property
    def replies(self) -> int:
        """All calls that were answered, over all rounds."""
        return sum(result.all_replies for result in self.results)


@dataclass
class Bench:
    """One run: the generator, a place for data, how long and how often, and the report."""

    generator: Generator
    root: Path
    seconds: float
    rounds: int
    report: Report
    _directories: int = 0

    def data(self, name: str) -> Path:
        """A new directory on the disk that is measured."""
        self._directories += 1
        return self.root / f"{self._directories}-{name}"

    def run(self, server: Server, load: Load, measured: Measured) -> None:
        """One round of one load on one server."""
        before = machine.cpu_seconds(server.pid)
        result = self.generator.run(server.port, server.system.adapt(load))
        spent = machine.cpu_seconds(server.pid) - before
        measured.results.append(result)
        measured.cpu_us.append(spent * 1e6 / max(1, result.all_replies))
        if result.generator_cpu_share > BUSY_GENERATOR:
            self.report.note(
                f"the generator used {result.generator_cpu_share:.0%} of its core against "
                f"{server.name}: that figure is a lower bound"
            )

    def compare(self, servers: list[Server], load: Load) -> dict[str, Measured]:
        """A/B/A/B: every server once a round, so that a bad minute hits all of them."""
        measured = {server.name: Measured() for server in servers}
        for _ in range(self.rounds):
            for server in servers:
                self.run(server, load, measured[server.name])
        return measured
