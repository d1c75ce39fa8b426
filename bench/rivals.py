"""`make bench-rivals`: Denizen, Redis and workerd on the same work in turns, with ratios.

python -m bench.rivals [--only NAME ...] [--seconds S] [--rounds N] [--json FILE] [--data DIR]
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from bench import machine
from bench.contest import Bench, Measured
from bench.durability import compare_syncs
from bench.footprint import compare_create, idle_actor_bytes, start_s
from bench.generator import Load
from bench.lone import ECHO, LONE
from bench.report import Figure
from bench.rival_systems import RivalMissing, redis, workerd
from bench.run import Measure, read_options, run
from bench.servers import DENIZEN, Server, System, echo
from bench.throughput import DURABLE, MANY_ACTORS, ONE_CONNECTION, fanout_load, reading

IDLE_ACTORS = 500  # workerd keeps three files open for each
OURS = DENIZEN.name

# (rival, load): at least so many times its rate.
DURABLE_MARKS: Mapping[tuple[str, Load], float] = {
    ("Redis", ONE_CONNECTION): 0.75,
    ("workerd", ONE_CONNECTION): 30,
    ("Redis", MANY_ACTORS): 0.5,
    ("workerd", MANY_ACTORS): 20,
}
UNWRITTEN_MARK = 4
FANOUT_MARK = 4


class Rivals:
    """Those of them that this machine has."""

    def __init__(self) -> None:
        self.systems: list[System] = []
        self.missing: list[str] = []
        for find in (redis, workerd):
            try:
                self.systems.append(find())
            except RivalMissing as missing:
                self.missing.append(str(missing))

    def speaking_frames(self) -> list[System]:
        """Ours and the rivals that have actors."""
        return [DENIZEN, *(system for system in self.systems if system.name != "Redis")]

    def all(self) -> list[System]:
        return [DENIZEN, *self.systems]


@contextmanager
def running(bench: Bench, systems: list[System]) -> Iterator[list[Server]]:
    """All of them at once; only one is under load at a time."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(system.running(bench.data(system.name.lower())))
            for system in systems
        ]


def _report_rates(
    bench: Bench, name: str, unit: str, rates: dict[str, float], marks: Mapping[str, float]
) -> None:
    bench.report.add(Figure(f"{name}, Denizen", rates[OURS], unit))
    for rival, rate in rates.items():
        if rival == OURS:
            continue
        ratio, mark = rates[OURS] / rate, marks.get(rival)
        text = f"ours {ratio:,.2f} x" if ratio < 10 else f"ours {ratio:,.0f} x"
        figure = Figure(f"  {rival}", rate, unit, text)
        if mark is not None:
            figure = replace(figure, mark=f"≥ {mark:g} x", met=ratio >= mark)
        bench.report.add(figure)


def _report_times(bench: Bench, name: str, unit: str, times: dict[str, float]) -> None:
    for system, taken in times.items():
        ratio = "" if system == OURS else f"ours {times[OURS] / taken:.2f} x"
        label = f"{name}, Denizen" if system == OURS else f"  {system}"
        bench.report.add(Figure(label, taken, unit, ratio))


def compare_lone(bench: Bench, rivals: Rivals) -> None:
    """The raw limits, and one call at a time."""
    floor = echo(bench.generator)
    with running(bench, [floor, *rivals.all()]) as (back, *servers):
        sync, sync_p99 = machine.fdatasync_us(bench.root)
        measured = bench.compare(servers, replace(LONE, seconds=bench.seconds))
        round_trip = Measured()
        bench.run(back, replace(ECHO, seconds=bench.seconds), round_trip)
    bench.report.add(Figure("fdatasync of a 4 KiB append, p50", sync, "µs"))
    bench.report.add(Figure("fdatasync of a 4 KiB append, p99", sync_p99, "µs"))
    bench.report.add(Figure("loopback echo, p50", round_trip.p50_us, "µs"))
    times = {name: by.p50_us for name, by in measured.items()}
    _report_times(bench, "lone durable call, p50", "µs", times)


def compare_durable(bench: Bench, rivals: Rivals) -> None:
    """Durable calls with 64 in flight; then SIGKILL for all, and a look whether they were."""
    with running(bench, rivals.all()) as servers:
        for name, load in DURABLE.items():
            measured = bench.compare(servers, replace(load, seconds=bench.seconds))
            rates = {system: by.rate for system, by in measured.items()}
            marks = {rival: mark for (rival, of), mark in DURABLE_MARKS.items() if of == load}
            _report_rates(bench, f"durable calls, {name}", "calls/s", rates, marks)
        seen = [server.system.look(server.port) for server in servers]
        for server, before in zip(servers, seen, strict=True):
            server.kill()
            with server.system.running(server.data) as again:
                kept = before and again.system.look(again.port) == before
            verdict = "there" if kept else "NOT THERE"
            bench.report.note(f"{server.name}: after SIGKILL its last value is {verdict}")


def compare_reads(bench: Bench, rivals: Rivals) -> None:
    """Calls that write nothing."""
    with running(bench, rivals.speaking_frames()) as servers:
        for name, load in DURABLE.items():
            measured = bench.compare(servers, replace(reading(load), seconds=bench.seconds))
            rates = {system: by.rate for system, by in measured.items()}
            marks = {"workerd": UNWRITTEN_MARK}
            _report_rates(bench, f"writes nothing, {name}", "calls/s", rates, marks)


def compare_fanout(bench: Bench, rivals: Rivals) -> None:
    """Events to 200 subscribers."""
    with running(bench, rivals.speaking_frames()) as servers:
        measured = bench.compare(servers, fanout_load(bench))
    rates = {system: by.event_rate for system, by in measured.items()}
    _report_rates(
        bench, "fan-out to 200 subscribers", "deliveries/s", rates, {"workerd": FANOUT_MARK}
    )


def compare_new(bench: Bench, rivals: Rivals) -> None:
    """A new actor's first call."""
    with running(bench, rivals.speaking_frames()) as servers:
        sync, measured = compare_create(bench, servers)
    bench.report.add(Figure("fdatasync of a 4 KiB append beside it, p50", sync, "µs"))
    times = {name: by.p50_us for name, by in measured.items()}
    _report_times(bench, "new actor: connect, create and first call, p50", "µs", times)


def compare_memory(bench: Bench, rivals: Rivals) -> None:
    """Memory of actors that are awake and idle."""
    taken = {
        system.name: idle_actor_bytes(bench, system, IDLE_ACTORS)
        for system in rivals.speaking_frames()
    }
    _report_times(bench, f"memory for each of {IDLE_ACTORS} idle awake actors", "B", taken)


def compare_start(bench: Bench, rivals: Rivals) -> None:
    """From starting the process to its first durable reply."""
    taken = {system.name: start_s(bench, system) for system in rivals.all()}
    _report_times(bench, "start to first reply", "s", taken)


def compare_all_syncs(bench: Bench, rivals: Rivals) -> None:
    """Syncs for each call."""
    compare_syncs(bench, rivals.all())


COMPARISONS: Mapping[str, Callable[[Bench, Rivals], None]] = {
    "lone": compare_lone,
    "durable": compare_durable,
    "reads": compare_reads,
    "fanout": compare_fanout,
    "create": compare_new,
    "memory": compare_memory,
    "start": compare_start,
    "syncs": compare_all_syncs,
}


def _compare(compare: Callable[[Bench, Rivals], None], rivals: Rivals, bench: Bench) -> None:
    compare(bench, rivals)


def main() -> int:
    options = read_options(COMPARISONS, __doc__ or "")
    rivals = Rivals()
    for missing in rivals.missing:
        print(f"left out: {missing}", file=sys.stderr)
    if not rivals.systems:
        return 1
    measures: dict[str, Measure] = {
        name: partial(_compare, compare, rivals) for name, compare in COMPARISONS.items()
    }
    return run(measures, options)


if __name__ == "__main__":
    sys.exit(main())
