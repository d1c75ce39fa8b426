"""What reaches the disk: syncs for each call, and bytes for each call on a wide state."""

import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from bench import machine
from bench.contest import Bench, Measured
from bench.generator import Load
from bench.report import Figure
from bench.servers import DENIZEN, Server, System
from bench.throughput import MANY_ACTORS, ONE_ACTOR, ONE_CONNECTION

SYNCS_MAX = 0.05
IN_FLIGHT = 64
WIDE_RATE_SHARE = 0.5
WIDE_BYTES_MAX = 32 * 1024
ATTACH_S = 10.0
IN_FLIGHT_LOADS = {
    "1 connection": ONE_CONNECTION,
    "64 connections": ONE_ACTOR,
    "64 actors": MANY_ACTORS,
}

WIDE = Load(path="/actors/wide/w", action="touch")
FILL = Load(path="/actors/wide/w", action="fill", seconds=0.01, warmup=0.0, counts_up=False)


class StraceFailed(Exception):
    """Syncs could not be counted."""


def count_syncs(bench: Bench, server: Server, load: Load) -> tuple[int, int]:
    """(syncs that succeeded, replies) of one load, counted by strace from outside."""
    strace = machine.find_program("strace")
    if strace is None:
        raise StraceFailed("strace was not found (Debian: apt install strace)")
    trace = bench.data("strace").with_suffix(".txt")
    words = [strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    tracer = subprocess.Popen([*words, "-p", str(server.pid)], stderr=subprocess.PIPE, text=True)
    try:
        _wait_until_traced(server.pid, tracer)
        result = bench.generator.run(server.port, server.system.adapt(load))
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
    compare_syncs(bench, [DENIZEN])


def compare_syncs(bench: Bench, systems: list[System]) -> None:
    """The same for several systems; only ours has a mark."""
    for system in systems:
        with system.running(bench.data("syncs")) as server:
            for name, load in IN_FLIGHT_LOADS.items():
                try:
                    counted = count_syncs(bench, server, replace(load, seconds=bench.seconds))
                except StraceFailed as failed:
                    bench.report.note(f"syncs were not counted: {failed}")
                    return
                _report_syncs(bench, system, name, *counted)


def _report_syncs(bench: Bench, system: System, name: str, syncs: int, replies: int) -> None:
    share, ours = syncs / replies, system is DENIZEN
    bench.report.add(
        Figure(
            f"syncs for each call at 64 in flight, {name}, {system.name}",
            share,
            "",
            f"{syncs:,} syncs for {replies:,} calls",
            f"1/{IN_FLIGHT} to {SYNCS_MAX}" if ours else "",
            1 / IN_FLIGHT <= share <= SYNCS_MAX if ours else None,
        )
    )


def measure_wide(bench: Bench) -> None:
    """1 MiB of state in 100 fields, one changed by each call, beside the small state."""
    with DENIZEN.running(bench.data("wide")) as server:
        bench.generator.run(server.port, FILL)
        for name, depth in (("lone calls", 1), (f"{IN_FLIGHT} in flight", IN_FLIGHT)):
            small, wide, written = Measured(), Measured(), 0
            for _ in range(bench.rounds):
                bench.run(server, Load(depth=depth, seconds=bench.seconds), small)
                before = machine.written_bytes(server.pid)
                bench.run(server, replace(WIDE, depth=depth, seconds=bench.seconds), wide)
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
            f"  written for each call, checkpoints too, {name}",
            bytes_ / 1024,
            "KiB",
            "",
            f"≤ {WIDE_BYTES_MAX // 1024} KiB",
            bytes_ <= WIDE_BYTES_MAX,
        )
    )
