"""Many calls in flight: durable ones, ones that write nothing, and fan-out."""

from dataclasses import replace

from bench import machine
from bench.contest import Bench, Measured
from bench.generator import Load
from bench.report import Figure
from bench.servers import DENIZEN, PROTOTYPE

PROTOTYPE_SHARE = 0.4
SUBSCRIBERS = 200

ONE_CONNECTION = Load(connections=1, depth=64)
ONE_ACTOR = Load(connections=64, depth=1)
MANY_ACTORS = Load(connections=64, depth=1, actors=64)
FANOUT = Load(
    mode="fanout", path="/actors/feed/f", connections=SUBSCRIBERS + 1, depth=4, counts_up=False
)

DURABLE = {
    "64 in flight on 1 connection, 1 actor": ONE_CONNECTION,
    "64 connections x 1, 1 actor": ONE_ACTOR,
    "64 connections x 1, 64 actors": MANY_ACTORS,
}


def fanout_load(bench: Bench) -> Load:
    return replace(FANOUT, action="publish", seconds=bench.seconds)


def reading(load: Load) -> Load:
    """The same calls, writing nothing."""
    return replace(load, action="get", counts_up=False)


LOOK = replace(reading(Load()), seconds=0.05, warmup=0.0)


def measure_durable(bench: Bench) -> None:
    """Durable calls a second, ours and the prototype's in turns; then a SIGKILL and the count."""
    data = bench.data("durable")
    with (
        PROTOTYPE.running(bench.data("durable-prototype")) as prototype,
        DENIZEN.running(data) as ours,
    ):
        for name, load in DURABLE.items():
            sync, _ = machine.fdatasync_us(bench.root)
            load = replace(load, seconds=bench.seconds)
            by = bench.compare([ours, prototype], load)
            _report_durable(bench, name, by["Denizen"], by["prototype"], sync)
        before = bench.generator.run(ours.port, LOOK).last_value
        ours.kill()
    with DENIZEN.running(data) as again:
        after = bench.generator.run(again.port, LOOK).last_value
    name = "increments of one actor, read again after SIGKILL"
    acknowledged = f"{before:,} acknowledged"
    bench.report.add(Figure(name, after, "", acknowledged, "none lost", before == after))


def _report_durable(
    bench: Bench, name: str, ours: Measured, prototype: Measured, sync_us: float
) -> None:
    share = ours.rate / prototype.rate
    ceiling = f"{ours.rate * sync_us / 64e6:.2f} x (64 ÷ fdatasync)"
    bench.report.add(
        Figure(
            f"durable calls, {name}",
            ours.rate,
            "calls/s",
            f"{share:.2f} x prototype, {ceiling}, {ours.cpu_us_per_call:.1f} µs CPU",
            f"≥ {PROTOTYPE_SHARE} x prototype",
            share >= PROTOTYPE_SHARE,
        )
    )
    cpu = f"{prototype.cpu_us_per_call:.1f} µs CPU"
    bench.report.add(Figure(f"  prototype, {name}", prototype.rate, "calls/s", cpu))


def measure_reads(bench: Bench) -> None:
    """Calls that write nothing."""
    with (
        DENIZEN.running(bench.data("reads")) as ours,
        PROTOTYPE.running(bench.data("reads-prototype")) as prototype,
    ):
        for name, load in DURABLE.items():
            load = replace(reading(load), seconds=bench.seconds)
            by = bench.compare([ours, prototype], load)
            ratio = f"{by['Denizen'].rate / by['prototype'].rate:.2f} x prototype"
            ratio += f", {by['Denizen'].cpu_us_per_call:.1f} µs CPU"
            figure = Figure(f"writes nothing, {name}", by["Denizen"].rate, "calls/s", ratio)
            bench.report.add(figure)


def measure_fanout(bench: Bench) -> None:
    """Events delivered to 200 subscribers, every one checked to be the next in order."""
    with DENIZEN.running(bench.data("fanout")) as ours:
        by = bench.compare([ours], fanout_load(bench))["Denizen"]
    ratio = f"{by.event_rate / SUBSCRIBERS:,.0f} publishes/s"
    bench.report.add(
        Figure(f"fan-out to {SUBSCRIBERS} subscribers", by.event_rate, "deliveries/s", ratio)
    )
