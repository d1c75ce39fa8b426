"""What every measurement is given, and how contenders are compared: in turns, by medians."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench import machine
from bench.generator import Generator, Load, Result
from bench.report import Report
from bench.servers import Server

BUSY_GENERATOR = 0.85


def unchanged(load: Load) -> Load:
    return load


@dataclass(frozen=True)
class Contender:
    """A running server and how a load is put in its words."""

    server: Server
    adapt: Callable[[Load], Load] = unchanged

    @property
    def name(self) -> str:
        return self.server.name


@dataclass
class Measured:
    """One contender's rounds of one load."""

    results: list[Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def _median(self, values: Iterable[float]) -> float:
        return statistics.median(values)

    @property
    def rate(self) -> float:
        """Replies a second."""
        return self._median(result.rate for result in self.results)

    @property
    def event_rate(self) -> float:
        """Events delivered a second."""
        return self._median(result.event_rate for result in self.results)

    @property
    def p50_us(self) -> float:
        return self._median(result.p50_us for result in self.results)

    @property
    def p99_us(self) -> float:
        return self._median(result.p99_us for result in self.results)

    @property
    def cpu_us_per_call(self) -> float:
        """The server's CPU for each call, in microseconds."""
        return self._median(self.cpu_us)

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

    def run(self, contender: Contender, load: Load, measured: Measured) -> None:
        """One round of one load on one contender."""
        load = contender.adapt(load)
        before = machine.cpu_seconds(contender.server.pid)
        result = self.generator.run(contender.server.port, load)
        spent = machine.cpu_seconds(contender.server.pid) - before
        measured.results.append(result)
        measured.cpu_us.append(spent * 1e6 / max(1, result.all_replies))
        if result.generator_cpu_share > BUSY_GENERATOR:
            self.report.note(
                f"the generator used {result.generator_cpu_share:.0%} of its core against "
                f"{contender.name}: that figure is a lower bound"
            )

    def compare(self, contenders: list[Contender], load: Load) -> dict[str, Measured]:
        """A/B/A/B: every contender once a round, so that a bad minute hits all of them."""
        measured = {contender.name: Measured() for contender in contenders}
        for _ in range(self.rounds):
            for contender in contenders:
                self.run(contender, load, measured[contender.name])
        return measured
