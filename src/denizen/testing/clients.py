"""The clients of a simulated world: the product's own, driven by seeded workers that keep the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from denizen.client import Client
from denizen.client.handle import ActorHandle
from denizen.client.settings import Settings
from denizen.core.errors import DenizenError
from denizen.gateway.ports import TagQuery
from denizen.testing.dice import Dice
from denizen.testing.ledger import Entry, Ledger
from denizen.testing.loop import Node
from denizen.testing.network import Network
from denizen.testing.trace import Trace
from denizen.testing.workloads import TIMEOUT_S

SETTINGS = Settings(retry_max_s=2.0, connect_timeout_s=3.0, call_timeout_s=20.0)
TALLIES = ("tally/0", "tally/1")
BY_KEY = (*TALLIES, "account/0", "clerk/0", "phoenix/0")
ROOMS = ("tally/room-0", "tally/room-1")
"""Actors that are made by tags, and reached by id."""
ACTORS = (*BY_KEY, *ROOMS)
_RETRIES_MAX = 2
_READ_S = 5.0
_PAUSE_S = 0.1
_BURST = 5


class SimulatedClient:
    """One client process: its workers, what they may do, and the events that came."""

    def __init__(
        self, node: Node, network: Network, ledger: Ledger, dice: Dice, trace: Trace, format: str
    ) -> None:
        self.node = node
        self.events: list[tuple[str, list[Any]]] = []
        self.is_done = False
        self.rooms: list[tuple[str, str]] = []
        """Each answer of the manager endpoint: the actor asked for, and its id."""
        self.ended: list[str] = []
        """Ids of actors that were destroyed."""
        self._dice = dice
        self._network = network
        self._ledger = ledger
        self._trace = trace
        self._made = 0
        self._client = Client(
            "http://world", format=format, settings=SETTINGS, dial=network.dial_from(node)
        )
        self._handles: dict[str, ActorHandle] = {}
        self._deeds = dice.some(_DEEDS)

    async def work(self, workers: int, pause_s: tuple[float, float]) -> None:
        """Subscribe, then do what was drawn until `is_done`."""
        for actor in BY_KEY:
            if self._dice.throws(0.5):
                self._handle(actor).on("changed", self._collector(actor))
        await asyncio.gather(*(self._work(pause_s) for _ in range(workers)))

    async def audit(self, actors: tuple[str, ...]) -> None:
        """Change each actor once more: what every actor must still be able to do."""
        for actor in actors:
            entry = await self._change(actor)
            while entry.outcome != "ok":
                await asyncio.sleep(_PAUSE_S)
                entry = await self._change(actor)

    async def _change(self, actor: str) -> Entry:
        op = self._op()
        if actor in ROOMS and not await self._find(actor):
            return self._ledger.begin(self.node.name, actor, "find", op)
        if actor.startswith("account"):
            return await self._call(actor, "transfer", op, op, 1, 0.0, False, amount=1)
        if actor.startswith("clerk"):
            return await self._call(actor, "hand_on", op, op, "0", also=TALLIES[0])
        return await self._call(actor, "add", op, op)

    async def read(self, actor: str) -> dict[str, Any]:
        """All that an actor says of itself; asked again if the world's last trouble comes in between."""
        while True:
            try:
                seen: dict[str, Any] = await self._handle(actor).call("ops", timeout_s=_READ_S)
            except DenizenError as error:
                self._trace.note("read.failed", f"{actor} {error.code}")
                await asyncio.sleep(_PAUSE_S)
            else:
                return seen

    async def close(self) -> None:
        await self._client.close()

    # Workers.

    async def _work(self, pause_s: tuple[float, float]) -> None:
        while not self.is_done:
            await asyncio.sleep(self._dice.seconds(pause_s))
            deed = self._dice.pick(self._deeds)
            if self._dice.throws(0.05):
                await self._give_up(deed(self))
            else:
                await deed(self)

    async def _give_up(self, deed: Awaitable[None]) -> None:
        task = asyncio.ensure_future(deed)
        await asyncio.sleep(self._dice.seconds((0, 0.02)))
        self._trace.note("fault.call_cancelled")
        task.cancel()
        await asyncio.wait({task})

    async def _call(
        self,
        actor: str,
        action: str,
        op: str,
        *args: Any,
        also: str = "",
        amount: int = 0,
        handle: ActorHandle | None = None,
    ) -> Entry:
        """One call, with its line in the ledger."""
        timeout_s = None
        if self._dice.throws(0.03):
            self._trace.note("fault.call_timeout")
            timeout_s = self._dice.seconds((0.001, 0.01))
        entry = self._ledger.begin(self.node.name, actor, action, op, also, amount)
        try:
            value = await (handle or self._handle(actor)).call(action, *args, timeout_s=timeout_s)
        except (DenizenError, asyncio.CancelledError) as error:
            self._ledger.failed(entry, error)
            self._trace.note(f"call.{entry.outcome}", f"{actor} {action} {op} {entry.code}")
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._ledger.succeeded(entry, value)
            self._trace.note("call.ok", f"{actor} {action} {op} {value['number']}")
        return entry

    def _handle(self, actor: str) -> ActorHandle:
        handle = self._handles.get(actor)
        if handle is None:
            kind, _, key = actor.partition("/")
            handle = self._handles[actor] = self._client.get(kind, key)
        return handle

    async def _find(self, room: str) -> bool:
        """Get or create an actor by its tags; whether that worked."""
        tags = {"name": "tally", "room": room}
        try:
            found = await self._network.resolve(
                self.node, TagQuery("default", tags=tags, create_tags=tags)
            )
        except DenizenError as error:
            self._trace.note("find.failed", f"{room} {error.code}")
            return False
        assert found.actor_id is not None
        self._trace.note("find.ok", f"{room} {found.actor_id}")
        self.rooms.append((room, found.actor_id))
        self._handles[room] = self._client.get_by_id("tally", found.actor_id)
        return True

    def _collector(self, actor: str) -> Callable[..., None]:
        return lambda *args: self.events.append((actor, list(args)))

    def _op(self) -> str:
        self._made += 1
        return f"{self.node.name}.{self._made}"

    # Deeds.

    async def _add(self) -> None:
        """Add, and again where the outcome is unknown, as callers do who don't read the docs."""
        actor, op = self._dice.pick(TALLIES), self._op()
        for _ in range(1 + _RETRIES_MAX):
            entry = await self._call(actor, "add", op, op)
            if entry.outcome != "unknown" or self._dice.throws(0.5):
                return
            self._trace.note("fault.call_repeated")

    async def _burst(self) -> None:
        actor = self._dice.pick(TALLIES)
        actions = ("add", "add_plainly")
        ops = [(self._dice.pick(actions), self._op()) for _ in range(_BURST)]
        await asyncio.gather(*(self._call(actor, action, op, op) for action, op in ops))

    async def _read(self) -> None:
        await self._call(self._dice.pick(TALLIES), "read", self._op())

    async def _add_held(self) -> None:
        op = self._op()
        pause_s = self._dice.seconds((0, 0.1))
        await self._call(self._dice.pick(TALLIES), "add_held", op, op, pause_s)

    async def _add_later(self) -> None:
        op, count = self._op(), 1 + self._dice.below(4)
        pause_s = self._dice.seconds((0, 0.3))
        await self._call(
            self._dice.pick(TALLIES), "add_later", op, op, count, pause_s, amount=count
        )

    async def _add_heavily(self) -> None:
        op, size_bytes = self._op(), self._dice.pick((0, 89_999, 90_000, 200_000))
        await self._call(self._dice.pick(TALLIES), "add_heavily", op, op, size_bytes)

    async def _add_and_crash(self) -> None:
        op = self._op()
        self._trace.note("fault.actor_crash")
        await self._call(self._dice.pick(TALLIES), "add_and_crash", op, op, amount=1)

    async def _add_to_room(self) -> None:
        room, op = self._dice.pick(ROOMS), self._op()
        if await self._find(room):
            await self._call(room, "add", op, op)

    async def _dawdle(self) -> None:
        op = self._op()
        self._trace.note("fault.action_timeout")
        await self._call(self._dice.pick(TALLIES), "dawdle", op, op)

    async def _transfer(self) -> None:
        op, amount = self._op(), 1 + self._dice.below(9)
        pause_s = self._dice.seconds((0, TIMEOUT_S / 10))
        await self._call("account/0", "transfer", op, op, amount, pause_s, False, amount=amount)

    async def _transfer_failing(self) -> None:
        op = self._op()
        self._trace.note("fault.action_raises")
        pause_s = self._dice.seconds((0, TIMEOUT_S / 10))
        await self._call("account/0", "transfer", op, op, 5, pause_s, True)

    async def _stall(self) -> None:
        op = self._op()
        self._trace.note("fault.action_timeout")
        await self._call("account/0", self._dice.pick(("stall", "cling")), op, op)

    async def _peek(self) -> None:
        await self._call("account/0", "peek", self._op())

    async def _watch(self) -> None:
        await self._call("account/0", "watch", self._op(), 10, self._dice.seconds((0.001, 0.05)))

    async def _hand_on(self) -> None:
        op, tally = self._op(), self._dice.pick(TALLIES)
        action = self._dice.pick(("hand_on", "hand_on_alone"))
        await self._call("clerk/0", action, op, op, tally.partition("/")[2], also=tally)

    async def _add_to_phoenix(self) -> None:
        op = self._op()
        await self._call("phoenix/0", "add", op, op)

    async def _end_phoenix(self) -> None:
        op = self._op()
        entry = await self._call("phoenix/0", "end", op, op)
        if entry.outcome == "ok":
            self.ended.append(entry.value["id"])

    async def _call_the_dead(self) -> None:
        """By its id, a destroyed actor answers nobody."""
        if self.ended:
            dead = self._client.get_by_id("phoenix", self._dice.pick(self.ended))
            op = self._op()
            self._trace.note("fault.call_to_the_dead")
            await self._call("phoenix/0", "add", op, op, handle=dead)


Deed = Callable[[SimulatedClient], Awaitable[None]]
_DEEDS: tuple[Deed, ...] = (
    SimulatedClient._add,
    SimulatedClient._burst,
    SimulatedClient._read,
    SimulatedClient._add_held,
    SimulatedClient._add_later,
    SimulatedClient._add_heavily,
    SimulatedClient._add_and_crash,
    SimulatedClient._add_to_room,
    SimulatedClient._dawdle,
    SimulatedClient._transfer,
    SimulatedClient._transfer_failing,
    SimulatedClient._stall,
    SimulatedClient._peek,
    SimulatedClient._watch,
    SimulatedClient._hand_on,
    SimulatedClient._add_to_phoenix,
    SimulatedClient._end_phoenix,
    SimulatedClient._call_the_dead,
)
