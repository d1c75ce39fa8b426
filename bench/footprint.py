"""What an actor and a process cost: first call, memory, start."""

import statistics
import time
from dataclasses import replace

from bench import machine
from bench.contest import Bench, Measured
from bench.generator import Load
from bench.report import Figure
from bench.servers import DENIZEN, Server, System

IDLE_ACTORS = 10_000
WARM_ACTORS = 500
SETTLE_S = 1.0
ACTOR_BYTES_MAX = 3_000
FIRST_CALL_ALLOWED_US = 1_000.0
START_MAX_S = 0.5
STARTS = 5
CREATE = Load(mode="create", path="/actors/counter/new")


def compare_create(bench: Bench, servers: list[Server]) -> tuple[float, dict[str, Measured]]:
    """fdatasync's p50 in µs, and each server's rounds of connect, create, first reply."""
    measured = {server.name: Measured() for server in servers}
    syncs: list[float] = []
    for number in range(bench.rounds):
        syncs.append(machine.fdatasync_us(bench.root)[0])
        for server in servers:
            load = replace(CREATE, first_key=number * 1_000_000, seconds=bench.seconds)
            bench.run(server, load, measured[server.name])
    return statistics.median(syncs), measured


def measure_create(bench: Bench) -> None:
    """A new actor: connect, upgrade, create, first durable reply."""
    with DENIZEN.running(bench.data("create")) as ours:
        sync, measured = compare_create(bench, [ours])
    taken, allowed = measured[ours.name].p50_us, sync + FIRST_CALL_ALLOWED_US
    bench.report.add(
        Figure(
            "new actor: connect, create and first call, p50",
            taken,
            "µs",
            f"{taken / sync:.2f} x fdatasync",
            f"≤ fdatasync + 1 ms = {allowed:,.0f} µs",
            taken <= allowed,
        )
    )


def idle_actor_bytes(bench: Bench, system: System, actors: int) -> float:
    """Resident memory for each of so many actors that are awake, idle and unconnected."""
    make = replace(CREATE, connections=32, seconds=120.0, warmup=0.0)
    with system.running(bench.data("memory")) as server:
        bench.generator.run(server.port, replace(make, create=WARM_ACTORS))
        time.sleep(SETTLE_S)  # closing handshakes
        before = machine.rss_bytes(server.pid)
        many = replace(make, create=actors, first_key=WARM_ACTORS)
        made = bench.generator.run(server.port, many).all_replies
        time.sleep(SETTLE_S)
        return (machine.rss_bytes(server.pid) - before) / made


def measure_memory(bench: Bench) -> None:
    """Resident memory of 10,000 actors that are awake and idle."""
    taken = idle_actor_bytes(bench, DENIZEN, IDLE_ACTORS)
    bench.report.add(
        Figure(
            f"memory for each of {IDLE_ACTORS:,} idle awake actors",
            taken,
            "B",
            mark=f"≤ {ACTOR_BYTES_MAX:,} B",
            met=taken <= ACTOR_BYTES_MAX,
        )
    )


def start_s(bench: Bench, system: System) -> float:
    """Seconds from starting the process on an empty directory to its first durable reply."""
    taken: list[float] = []
    for _ in range(STARTS):
        server = system.spawn(bench.data("start"))
        try:
            server.wait_until(system.makes_first_call)
            taken.append(server.ready_at - server.started_at)
        finally:
            server.stop()
    return statistics.median(taken)


def measure_start(bench: Bench) -> None:
    """From starting the process to the first durable reply."""
    start = start_s(bench, DENIZEN)
    mark = f"≤ {START_MAX_S} s"
    bench.report.add(
        Figure("start to first reply", start, "s", mark=mark, met=start <= START_MAX_S)
    )
