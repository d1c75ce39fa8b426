"""One life of a server in a simulated world: store client, state, host, and the monitors' taps.

The parts are the product's own, wired as in `server.py`; only the disk and listening are the world's.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from denizen.core.errors import DenizenError, StoreUnavailable
from denizen.core.limits import Limits
from denizen.gateway.ports import ClientConnection, ConnectRequest, Peer
from denizen.host.activity import Activity
from denizen.host.host import Host
from denizen.host.instance import Instance
from denizen.host.runtimes.python import PythonRuntime
from denizen.sdk.actor import Actor
from denizen.state.service import StateService
from denizen.store.contract import Batch, Outcome, Transaction
from denizen.store.memory import MemoryStore
from denizen.testing.loop import Node
from denizen.testing.monitors import ConnectionMonitor, Monitors
from denizen.testing.trace import Trace
from denizen.wire import values
from denizen.wire.runtime import Request

T = TypeVar("T")


class Life:
    """A server process from its boot to its death."""

    def __init__(self, node: Node, store: MemoryStore, monitors: Monitors, trace: Trace) -> None:
        self.node = node
        self.actors: WatchedActors
        self._store = WatchedStore(node, store, monitors, trace)
        self._monitors = monitors
        self._state: StateService | None = None
        self._host: Host | None = None

    async def boot(self, classes: Iterable[type[Actor[Any]]], limits: Limits) -> None:
        """Start; on the life's own node."""
        self._state = StateService(self._store, limits)
        self._state.start()
        runtime = PythonRuntime(classes, limits)
        self._host = WatchedHost(self._monitors, runtime, self._state, limits)
        self.actors = WatchedActors(self.node, self._host, self._monitors)

    async def stop(self) -> None:
        """End as a process does that is asked to."""
        assert self._host is not None
        assert self._state is not None
        await self._host.stop()
        await self._state.close()

    def usurp(self) -> None:
        """Another life has taken over: this one can start no actor any more, only go on with what it has.

        Leases will see to that once several hosts share a store; the head row is the fence in any case.
        """
        self._store.is_usurped = True

    def kill(self) -> None:
        """End as a process does that is killed."""
        self.node.kill()
        for tap in self.actors.taps:
            tap.is_over = True


class WatchedStore:
    """The store as one life sees it (`store.contract.Store`)."""

    def __init__(self, node: Node, store: MemoryStore, monitors: Monitors, trace: Trace) -> None:
        self._node = node
        self._store = store
        self._monitors = monitors
        self._trace = trace
        self.is_usurped = False

    def transaction(self) -> Transaction:
        self._check_reads()
        return self._store.transaction()

    async def transact(
        self, fn: Callable[[Transaction], Awaitable[T]], *, deadline_s: float = 10.0
    ) -> T:
        self._check_reads()
        return await self._store.transact(fn, deadline_s=deadline_s)

    def _check_reads(self) -> None:
        if self.is_usurped:
            raise StoreUnavailable("Another life of the server has the store (a simulated fault).")

    async def apply(self, batches: Sequence[Batch]) -> list[Outcome]:
        life = self._node.name
        self._monitors.commits_sent(life, batches)
        try:
            outcomes = await self._store.apply(batches)
        except DenizenError as error:
            self._trace.note(f"fault.{error.code}")
            self._monitors.commits_settled(life, batches, error.code)
            raise
        for outcome in outcomes:
            self._trace.note(f"commit.{outcome.value}")
        self._monitors.commits_settled(life, batches, f"{len(outcomes)} commits")
        return outcomes

    def watch(self, key: bytes) -> Awaitable[None]:
        return self._store.watch(key)

    async def stats(self) -> dict[str, Any]:
        return await self._store.stats()

    async def close(self) -> None:
        """The disk outlives the process."""


class WatchedHost(Host):
    """A host whose actors' calls to each other are watched as they leave."""

    def __init__(
        self, monitors: Monitors, runtime: PythonRuntime, state: StateService, limits: Limits
    ) -> None:
        super().__init__(runtime, state, limits)
        self._monitors = monitors

    def send_request(
        self,
        caller: Instance,
        made_by: Activity | None,
        request: Request,
        chain: tuple[str, ...],
        timeout_s: float,
    ) -> None:
        args = values.unpack(request.args)
        if len(args) > 1:
            actor_id, number = args[1]
            what = f"the call of {request.action} by {caller.record.type}"
            self._monitors.check_durable(what, actor_id, number)
        super().send_request(caller, made_by, request, chain, timeout_s)


class WatchedActors:
    """The host at the gateway's port (`gateway.ports.Actors`), with a monitor on each connection."""

    def __init__(self, node: Node, host: Host, monitors: Monitors) -> None:
        self.taps: list[ConnectionMonitor] = []
        self._node = node
        self._host = host
        self._monitors = monitors
        self.call = host.call
        self.resolve = host.resolve
        self.asgi = host.asgi
        self.is_ready = host.is_ready

    def connect(self, request: ConnectRequest, peer: Peer) -> ClientConnection:
        name = f"{self._node.name}/{request.address}#{len(self.taps)}"
        tap = self._monitors.connection(name, request)
        self.taps.append(tap)
        return _TappedConnection(
            self._host.connect(request, _TappedPeer(self._node, peer, tap)), tap
        )


class _TappedPeer:
    """Sees what leaves. A dead process sends nothing."""

    def __init__(self, node: Node, peer: Peer, tap: ConnectionMonitor) -> None:
        self._node = node
        self._peer = peer
        self._tap = tap

    def send(self, payload: bytes, is_binary: bool) -> None:
        if not self._node.is_dead:
            self._tap.sent(payload)
            self._peer.send(payload, is_binary)

    def close(self, code: int, reason: str) -> None:
        self._tap.is_over = True
        self._peer.close(code, reason)


class _TappedConnection:
    """Sees what comes in."""

    def __init__(self, connection: ClientConnection, tap: ConnectionMonitor) -> None:
        self._connection = connection
        self._tap = tap

    def receive(self, payload: bytes, is_binary: bool) -> None:
        self._tap.received(payload)
        self._connection.receive(payload, is_binary)

    def receive_too_long(self) -> None:
        self._connection.receive_too_long()

    def lost(self) -> None:
        self._tap.is_over = True
        self._connection.lost()
