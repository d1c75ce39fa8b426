"""One call at a time: the raw limits of this machine, and what we add to them."""

import statistics
from dataclasses import replace

from bench import machine, servers
from bench.bench import Bench, Contender, Measured
from bench.generator import Load
from bench.report import Figure

ALLOWED_US = 100.0
BURN_SHARE = "half"
LONE = Load()
ECHO = Load(mode="echo", counts_up=False)


def measure_lone(bench: Bench) -> None:
    """fdatasync, echo, a lone durable call of ours and of the prototype: interleaved."""
    with (
        servers.denizen(bench.data("lone")) as ours,
        servers.prototype(bench.data("lone-prototype")) as prototype,
        servers.echo(bench.generator, bench.data("echo")) as echo,
    ):
        syncs: list[tuple[float, float]] = []
        measured = {name: Measured() for name in ("ours", "prototype", "echo", "near", "near-echo")}
        near = machine.SERVER_CORE
        for _ in range(max(3, bench.rounds)):
            syncs.append(machine.fdatasync_us(bench.root))
            bench.run(Contender(echo), _for(bench, ECHO), measured["echo"])
            bench.run(Contender(ours), _for(bench, LONE), measured["ours"])
            bench.run(Contender(prototype), _for(bench, LONE), measured["prototype"])
            bench.run(Contender(echo), replace(_for(bench, ECHO), core=near), measured["near-echo"])
            bench.run(Contender(ours), replace(_for(bench, LONE), core=near), measured["near"])
    sync, sync_p99 = (statistics.median(column) for column in zip(*syncs, strict=True))
    _report(bench, sync, sync_p99, measured)


def _for(bench: Bench, load: Load) -> Load:
    return replace(load, seconds=bench.seconds / 2)


def _report(bench: Bench, sync: float, sync_p99: float, by: dict[str, Measured]) -> None:
    add = bench.report.add
    echo, ours, prototype = by["echo"].p50_us, by["ours"], by["prototype"]
    add(Figure("fdatasync of a 4 KiB append, p50", sync, "µs"))
    add(Figure("fdatasync of a 4 KiB append, p99", sync_p99, "µs"))
    ceiling = 64 / sync * 1e6
    add(Figure("ceiling at 64 in flight: 64 ÷ fdatasync", ceiling, "calls/s"))
    add(Figure("loopback echo, p50", echo, "µs", f"{by['near-echo'].p50_us:.0f} µs on one core"))
    allowed = sync + echo + ALLOWED_US
    mark = f"≤ fdatasync + echo + 0.1 ms = {allowed:,.0f} µs"
    ratio = f"{ours.p50_us / (sync + echo):.2f} x (fdatasync + echo)"
    add(Figure("lone durable call, p50", ours.p50_us, "µs", ratio, mark, ours.p50_us <= allowed))
    add(Figure("lone durable call, p99", ours.p99_us, "µs"))
    near = f"{by['near'].p50_us / (sync + by['near-echo'].p50_us):.2f} x (fdatasync + echo there)"
    add(Figure("lone durable call, both ends on one core, p50", by["near"].p50_us, "µs", near))
    ratio = f"ours {ours.p50_us / prototype.p50_us:.2f} x"
    add(Figure("lone durable call, prototype, p50", prototype.p50_us, "µs", ratio))


def measure_neighbour(bench: Bench) -> None:
    """A lone durable call while another actor of the process burns half of the loop."""
    with servers.denizen(bench.data("neighbour")) as ours:
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
            bench.run(Contender(ours), load, quiet)
            burning = bench.generator.start(ours.port, burn)
            bench.run(Contender(ours), load, noisy)
            bench.generator.finish(burning, replace(burn, seconds=lasts))
    ratio = f"{noisy.p99_us / quiet.p99_us:.1f} x without ({quiet.p99_us:,.0f} µs)"
    name = f"lone durable call while a neighbour burns {BURN_SHARE} of the loop"
    bench.report.add(Figure(f"{name}, p99", noisy.p99_us, "µs", ratio))
    ratio = f"{noisy.p50_us / quiet.p50_us:.1f} x without"
    bench.report.add(Figure(f"{name}, p50", noisy.p50_us, "µs", ratio))
