"""What an actor and a process cost: first call, memory, start."""

import statistics
import time
from dataclasses import replace

from bench import machine, servers
from bench.bench import Bench, Contender, Measured
from bench.generator import Load
from bench.report import Figure

IDLE_ACTORS = 10_000
WARM_ACTORS = 500
SETTLE_S = 1.0
ACTOR_BYTES_MAX = 3_000
FIRST_CALL_ALLOWED_US = 1_000.0
START_MAX_S = 0.5
STARTS = 5
CREATE = Load(mode="create", path="/actors/counter/new")


def measure_create(bench: Bench) -> None:
    """A new actor: connect, upgrade, create, first durable reply."""
    measured, syncs = Measured(), []
    with servers.denizen(bench.data("create")) as ours:
        for number in range(bench.rounds):
            syncs.append(machine.fdatasync_us(bench.root)[0])
            load = replace(CREATE, first_key=number * 1_000_000, seconds=bench.seconds)
            bench.run(Contender(ours), load, measured)
    sync = statistics.median(syncs)
    allowed = sync + FIRST_CALL_ALLOWED_US
    bench.report.add(
        Figure(
            "new actor: connect, create and first call, p50",
            measured.p50_us,
            "µs",
            f"{measured.p50_us / sync:.2f} x fdatasync",
            f"≤ fdatasync + 1 ms = {allowed:,.0f} µs",
            measured.p50_us <= allowed,
        )
    )


def measure_memory(bench: Bench) -> None:
    """Resident memory of 10,000 actors that are awake and idle."""
    make = replace(CREATE, connections=32, seconds=120.0, warmup=0.0)
    with servers.denizen(bench.data("memory")) as ours:
        warm = replace(make, create=WARM_ACTORS)
        bench.generator.run(ours.port, warm)
        time.sleep(SETTLE_S)  # closing handshakes and collected garbage
        before = machine.rss_bytes(ours.pid)
        many = replace(make, create=IDLE_ACTORS, first_key=WARM_ACTORS)
        made = bench.generator.run(ours.port, many).all_replies
        time.sleep(SETTLE_S)
        taken = (machine.rss_bytes(ours.pid) - before) / made
    bench.report.add(
        Figure(
            f"memory for each of {made:,} idle awake actors",
            taken,
            "B",
            f"{before / 2**20:.0f} MiB without them",
            f"≤ {ACTOR_BYTES_MAX:,} B",
            taken <= ACTOR_BYTES_MAX,
        )
    )


def measure_start(bench: Bench) -> None:
    """From starting the process to the first durable reply."""
    taken: list[float] = []
    for number in range(STARTS):
        server = servers.spawn_denizen(bench.data("start"))
        path = f"/actors/counter/start{number}/rpc/increment"
        with servers.running(server, lambda s=server, p=path: servers.answers(s.port, p, b"{}")):
            taken.append(server.ready_at - server.started_at)
    start = statistics.median(taken)
    mark = f"≤ {START_MAX_S} s"
    bench.report.add(
        Figure("start to first reply", start, "s", mark=mark, met=start <= START_MAX_S)
    )
