"""A simulated world: a server that dies and comes back, its disk, clients and a network, from one seed.

    report = World(seed).run()

All but the disk, the sockets and the clock is the product's own. A world works for a few virtual
seconds while the nemesis is at it, then heals: within 30 s everything must run again. At last power is
cut once more, and the judge compares what is left with the clients' ledger. A broken promise raises
`Violation`.
"""

import asyncio
from collections.abc import Callable

import msgspec

from denizen.core import clock
from denizen.core.limits import Limits
from denizen.store.memory import Faults, MemoryStore
from denizen.testing.clients import ACTORS, ROOMS, SETTINGS, SimulatedClient
from denizen.testing.dice import Dice
from denizen.testing.faults import Nemesis
from denizen.testing.installation import installed
from denizen.testing.judge import Seen, judge
from denizen.testing.ledger import Ledger
from denizen.testing.life import Life
from denizen.testing.loop import Scheduler, Stuck
from denizen.testing.monitors import Monitors, Violation
from denizen.testing.network import Network
from denizen.testing.trace import Trace
from denizen.testing.workloads import CLASSES

LIMITS = Limits(cancel_grace_s=1.0, action_timeout_s=20.0)
HEALING_S = 30.0
WORK_S = (3.0, 9.0)
REST_S = 4.0
"""No action and no task of a world's actors takes longer than this, its cancellation included."""
EXPECTED_CODES = frozenset(
    {
        "",
        "CancelledError",
        "actor_crashed",
        "actor_destroyed",
        "actor_stopped",
        "asked_to_fail",
        "commit_outcome_unknown",
        "not_connected",
        "not_here",
        "outcome_unknown",
        "rpc_timed_out",
        "store_unavailable",
    }
)
"""How calls may end in a world."""


class Report(msgspec.Struct, frozen=True):
    """How one world went, all promises kept."""

    seed: int
    digest: str
    virtual_s: float
    healing_s: float
    steps: int
    counts: dict[str, int]
    dangers: dict[str, int]
    acknowledged: int
    unknown: int

    @property
    def is_counted(self) -> bool:
        """Whether the world proves something: there was danger, and something was acknowledged in it."""
        return bool(self.dangers) and self.acknowledged > 0


class World:
    """One world. `run` it once."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.scheduler = Scheduler()
        self.trace = Trace()
        self.monitors = Monitors(self.trace)
        self.ledger = Ledger()
        self.node = self.scheduler.make_node("world")
        self.network = Network(self._dice("network"), self.trace, LIMITS, SETTINGS)
        self.store = MemoryStore(
            Faults(flush_s=(0.0005, 0.002)),
            self._dice("store").source,
            loop=self.node,
            on_landed=self.monitors.landed,
        )
        self.life: Life | None = None
        self.clients: list[SimulatedClient] = []
        self._lives = 0
        self._nemesis = Nemesis(self, self._dice("nemesis"))

    def run(self) -> Report:
        """Raises `Violation`, whose notes have the trace's end and how to see it again."""
        chance = self._dice("entropy").source
        with installed(self.scheduler, chance, self.monitors, self._nemesis.at_commit):
            try:
                return self._run()
            except Stuck as stuck:
                raise self._explained(Violation(f"everything runs on: {stuck}")) from stuck
            except Violation as violation:
                raise self._explained(violation) from None
            finally:
                self.scheduler.close()

    # For the nemesis.

    def boot(self) -> None:
        """A new life of the server."""
        self._lives += 1
        node = self.scheduler.make_node(f"server-{self._lives}")
        life = self.life = Life(node, self.store, self.monitors, self.trace)
        self.trace.note("boot", node.name)

        async def boot() -> None:
            await life.boot(CLASSES, LIMITS)
            if self.life is life:
                self.network.listener = life

        node.start(boot())

    def abandon(self) -> None:
        """Nobody reaches the present life any more."""
        life, self.life = self.life, None
        self.network.listener = None
        if life is not None:
            self.network.reset(life.node)

    def crash(self) -> None:
        """Power is cut: the present life is gone, and what of the store isn't durable."""
        life = self.life
        if life is not None:
            life.kill()
        self.abandon()
        self.store.power_cut()

    async def stop_life(self) -> None:
        """The present life ends as it should."""
        life, self.life = self.life, None
        self.network.listener = None
        if life is not None:
            stopped = asyncio.Event()
            task = life.node.start(life.stop())
            task.add_done_callback(lambda _: self.node.call_soon(stopped.set))
            await stopped.wait()
            self.network.reset(life.node)
            life.kill()

    # How it goes.

    def _run(self) -> Report:
        dice = self._dice("world")
        self.boot()
        self._make_clients(2 + dice.below(2))
        workers = 1 + dice.below(3)
        pause_s = (0.0, dice.seconds((0.02, 0.3)))
        work = [client.node.start(client.work(workers, pause_s)) for client in self.clients]
        self._nemesis.start()
        self._rest(dice.seconds(WORK_S))
        healed_at = clock.monotonic()
        self._heal()
        self._run_until(lambda: all(task.done() for task in work), HEALING_S)
        self._audit()
        healing_s = clock.monotonic() - healed_at
        self._judge_last()
        return self._report(healing_s)

    def _make_clients(self, count: int) -> None:
        for number in range(count):
            node = self.scheduler.make_node(f"client-{number}")
            dice = self._dice(node.name)
            format = ("cbor", "json")[number % 2]
            self.clients.append(
                SimulatedClient(node, self.network, self.ledger, dice, self.trace, format)
            )

    def _heal(self) -> None:
        self.trace.note("heal")
        self._nemesis.stop()
        for client in self.clients:
            client.is_done = True
        self.node.call_later(2.5, self._ensure_up)

    def _ensure_up(self) -> None:
        if self.life is None:
            self.boot()

    def _audit(self) -> None:
        """Each client changes each actor, whatever befell it; then one does, and all who listen must hear."""
        self._change_all(self.clients)
        self._run_until(lambda: self.life is not None, HEALING_S)
        self._rest(REST_S)
        self.monitors.check_answered()
        listening = self.monitors.listening()
        self._change_all(self.clients[:1])
        self._rest(1.0)
        self.monitors.check_heard(listening)

    def _change_all(self, clients: list[SimulatedClient]) -> None:
        audits = [client.node.start(client.audit(ACTORS)) for client in clients]
        self._run_until(lambda: all(task.done() for task in audits), HEALING_S)
        for task in audits:
            task.result()

    def _rest(self, rest_s: float) -> None:
        rested = asyncio.Event()
        self.node.call_later(rest_s, rested.set)
        self._run_until(rested.is_set, rest_s + 1)

    def _judge_last(self) -> None:
        """Cut power at rest; what a new life serves is judged."""
        client = self.clients[0]
        served = self._read_all(client)
        self.crash()
        self.boot()
        final = self._read_all(client)
        for actor, seen in served.items():
            if seen != final[actor]:
                self.monitors.report(
                    f"2: {actor} served {seen}, after the power cut {final[actor]}"
                )
        for room in ROOMS:
            ids = {found for each in self.clients for name, found in each.rooms if name == room}
            if len(ids) > 1:
                self.monitors.report(f"one actor has these tags: {room} was found as {sorted(ids)}")
        for code in sorted({entry.code for entry in self.ledger.entries} - EXPECTED_CODES):
            self.monitors.report(f"no error that nothing explains: a call ended with {code}")
        events = [event for each in self.clients for event in each.events]
        for broken in judge(self.ledger, final, events):
            self.monitors.report(broken)
        closing = [client.node.start(client.close()) for client in self.clients]
        self._run_until(lambda: all(task.done() for task in closing), HEALING_S)

    def _read_all(self, client: SimulatedClient) -> dict[str, Seen]:
        async def read() -> dict[str, Seen]:
            return {actor: await client.read(actor) for actor in ACTORS}

        task = client.node.start(read())
        self._run_until(task.done, HEALING_S)
        return task.result()

    def _run_until(self, is_done: Callable[[], bool], timeout_s: float) -> None:
        monitors = self.monitors
        self.scheduler.run_until(lambda: monitors.violation is not None or is_done(), timeout_s)
        if monitors.violation is not None:
            raise monitors.violation

    def _report(self, healing_s: float) -> Report:
        outcomes = [entry.outcome for entry in self.ledger.entries]
        if self.monitors.violation is not None:
            raise self.monitors.violation
        return Report(
            self.seed,
            self.trace.digest(),
            clock.monotonic(),
            healing_s,
            self.scheduler.steps,
            dict(self.trace.counts),
            self.trace.dangers(),
            outcomes.count("ok"),
            outcomes.count("unknown"),
        )

    def _explained(self, violation: Violation) -> Violation:
        violation.add_note(f"The last events:\n{self.trace.tail(60)}")
        violation.add_note(f"Dangers of this world: {', '.join(sorted(self._nemesis.dangers))}")
        violation.add_note(f"See it again: python -m denizen.testing.sim --seed {self.seed}")
        return violation

    def _dice(self, part: str) -> Dice:
        return Dice(self.seed, part)
