"""One call at a time: the raw limits of this machine, and what we add to them."""

import statistics
from dataclasses import replace

from bench import machine
from bench.contest import Bench, Measured
from bench.generator import Load
from bench.report import Figure
from bench.servers import DENIZEN, PROTOTYPE, echo

ALLOWED_US = 100.0
BURN_SHARE = "half"
LONE = Load()
PLACEMENTS = {"": "", " near": ", both ends on one core"}
ECHO = Load(mode="echo", counts_up=False)


def measure_lone(bench: Bench) -> None:
    """fdatasync, echo, a lone durable call of ours and of the prototype: interleaved."""
    with (
        DENIZEN.running(bench.data("lone")) as ours,
        PROTOTYPE.running(bench.data("lone-prototype")) as prototype,
        echo(bench.generator).running(bench.data("echo")) as floor,
    ):
        systems = {"ours": ours, "prototype": prototype, "echo": floor}
        measured = {name + place: Measured() for name in systems for place in PLACEMENTS}
        syncs: list[tuple[float, float]] = []
        for _ in range(max(3, bench.rounds)):
            syncs.append(machine.fdatasync_us(bench.root))
            for name, server in systems.items():
                load = ECHO if name == "echo" else LONE
                load = replace(load, seconds=bench.seconds / 2)
                bench.run(server, load, measured[name])
                near = replace(load, core=machine.SERVER_CORE)
                bench.run(server, near, measured[f"{name} near"])
    sync, sync_p99 = (statistics.median(column) for column in zip(*syncs, strict=True))
    _report(bench, sync, sync_p99, measured)


def _report(bench: Bench, sync: float, sync_p99: float, by: dict[str, Measured]) -> None:
    add = bench.report.add
    add(Figure("fdatasync of a 4 KiB append, p50", sync, "µs"))
    add(Figure("fdatasync of a 4 KiB append, p99", sync_p99, "µs"))
    add(Figure("ceiling at 64 in flight: 64 ÷ fdatasync", 64 / sync * 1e6, "calls/s"))
    for placement, suffix in PLACEMENTS.items():
        echo, ours, prototype = (by[name + placement] for name in ("echo", "ours", "prototype"))
        floor = sync + echo.p50_us
        add(Figure(f"loopback echo, p50{suffix}", echo.p50_us, "µs"))
        add(
            Figure(
                f"lone durable call, p50{suffix}",
                ours.p50_us,
                "µs",
                f"{ours.p50_us / floor:.2f} x (fdatasync + echo)",
                f"≤ fdatasync + echo + 0.1 ms = {floor + ALLOWED_US:,.0f} µs",
                ours.p50_us <= floor + ALLOWED_US,
            )
        )
        add(Figure(f"lone durable call, p99{suffix}", ours.p99_us, "µs"))
        ratio = f"ours {ours.p50_us / prototype.p50_us:.2f} x"
        add(Figure(f"  prototype, p50{suffix}", prototype.p50_us, "µs", ratio))


def measure_neighbour(bench: Bench) -> None:
    """A lone durable call while another actor of the process burns half of the loop."""
    with DENIZEN.running(bench.data("neighbour")) as ours:
        quiet, noisy = Measured(), Measured()
        load = replace(LONE, seconds=bench.seconds)
        lasts = bench.seconds + 1.0
        burn = Load(
            path="/actors/burner/b",
            action="burn",
            args=f"[{lasts}]",
            seconds=0.1,
            warmup=0.0,
            counts_up=False,
        )
        for _ in range(bench.rounds):
            bench.run(ours, load, quiet)
            burning = bench.generator.start(ours.port, burn)
            bench.run(ours, load, noisy)
            bench.generator.finish(burning, replace(burn, seconds=lasts))
    ratio = f"{noisy.p99_us / quiet.p99_us:.1f} x without ({quiet.p99_us:,.0f} µs)"
    name = f"lone durable call while a neighbour burns {BURN_SHARE} of the loop"
    bench.report.add(Figure(f"{name}, p99", noisy.p99_us, "µs", ratio))
    ratio = f"{noisy.p50_us / quiet.p50_us:.1f} x without"
    bench.report.add(Figure(f"{name}, p50", noisy.p50_us, "µs", ratio))
