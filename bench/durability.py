"""What reaches the disk: syncs for each call, and bytes for each call on a wide state."""

import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from bench import machine, servers
from bench.bench import Bench, Contender, Measured
from bench.generator import Load
from bench.report import Figure
from bench.throughput import MANY_ACTORS, ONE_ACTOR, ONE_CONNECTION

SYNCS_MAX = 0.05
IN_FLIGHT = 64
WIDE_RATE_SHARE = 0.5
WIDE_BYTES_MAX = 32 * 1024
ATTACH_S = 10.0

WIDE = Load(path="/actors/wide/w", action="touch")
FILL = Load(path="/actors/wide/w", action="fill", seconds=0.01, warmup=0.0, counts_up=False)


class StraceFailed(Exception):
    """Syncs could not be counted."""


def count_syncs(bench: Bench, contender: Contender, load: Load) -> tuple[int, int]:
    """(syncs that succeeded, replies) of one load, counted by strace from outside."""
    strace = machine.find_program("strace")
    if strace is None:
        raise StraceFailed("strace was not found (Debian: apt install strace)")
    trace = bench.data("strace").with_suffix(".txt")
    words = [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    tracer = subprocess.Popen(
        [*words, "-p", str(contender.server.pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_until_traced(contender.server.pid, tracer)
        result = bench.generator.run(contender.server.port, contender.adapt(load))
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=ATTACH_S)
    return len(re.findall(r"\bf(?:data)?sync\b.*= 0$", trace.read_text(), re.M)), result.all_replies


def _wait_until_traced(pid: int, tracer: "subprocess.Popen[str]") -> None:
    """Every thread has a tracer. Raises `StraceFailed` with strace's own words."""
    ends_at = time.perf_counter() + ATTACH_S
    while time.perf_counter() < ends_at and tracer.poll() is None:
        tasks = Path(f"/proc/{pid}/task").glob("*/status")
        if all("TracerPid:\t0\n" not in task.read_text() for task in tasks):
            return
        time.sleep(0.01)
    tracer.kill()
    raise StraceFailed(f"strace can't attach: {tracer.communicate()[1].strip()}")


def measure_syncs(bench: Bench) -> None:
    """fsync and fdatasync calls for each durable call at 64 in flight, every value new."""
    loads = {"1 connection": ONE_CONNECTION, "64 connections": ONE_ACTOR, "64 actors": MANY_ACTORS}
    with servers.denizen(bench.data("syncs")) as ours:
        for name, load in loads.items():
            load = replace(load, seconds=bench.seconds)
            try:
                syncs, replies = count_syncs(bench, Contender(ours), load)
            except StraceFailed as failed:
                bench.report.note(f"syncs were not counted: {failed}")
                return
            share = syncs / replies
            bench.report.add(
                Figure(
                    f"syncs for each call at 64 in flight, {name}",
                    share,
                    "",
                    f"{replies:,} calls, {syncs:,} syncs",
                    f"1/{IN_FLIGHT} to {SYNCS_MAX}",
                    1 / IN_FLIGHT <= share <= SYNCS_MAX,
                )
            )


def measure_wide(bench: Bench) -> None:
    """1 MiB of state in 100 fields, one changed by each call, beside the small state."""
    with servers.denizen(bench.data("wide")) as server:
        ours = Contender(server)
        bench.generator.run(server.port, FILL)
        for name, depth in (("lone calls", 1), ("64 in flight", IN_FLIGHT)):
            small, wide, written = Measured(), Measured(), 0
            for _ in range(bench.rounds):
                load = Load(depth=depth, seconds=bench.seconds)
                bench.run(ours, load, small)
                before = machine.written_bytes(server.pid)
                bench.run(ours, replace(WIDE, depth=depth, seconds=bench.seconds), wide)
                written += machine.written_bytes(server.pid) - before
            _report_wide(bench, name, small, wide, written / wide.replies)


def _report_wide(bench: Bench, name: str, small: Measured, wide: Measured, bytes_: float) -> None:
    share = wide.rate / small.rate
    bench.report.add(
        Figure(
            f"1 MiB of state, one of 100 fields changed, {name}",
            wide.rate,
            "calls/s",
            f"{share:.2f} x small state ({small.rate:,.0f}/s)",
            f"≥ {WIDE_RATE_SHARE} x small state",
            share >= WIDE_RATE_SHARE,
        )
    )
    bench.report.add(
        Figure(
            f"  written to disk for each call, {name}",
            bytes_ / 1024,
            "KiB",
            "",
            f"≤ {WIDE_BYTES_MAX // 1024} KiB",
            bytes_ <= WIDE_BYTES_MAX,
        )
    )
