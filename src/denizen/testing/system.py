"""A whole system in one process: a real server, its store, and short ways to its actors.

For tests of actors, ours and everybody's. Calls made here skip the sockets and nothing else; `url`
is where a real client connects. Stores in here can be held back, which no production code may do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from denizen.core.address import DEFAULT_NAMESPACE, Address
from denizen.core.errors import RpcTimedOut
from denizen.core.limits import DEFAULT, Limits
from denizen.core.principal import ANONYMOUS
from denizen.gateway.memory import MemoryPeer, connect_in_memory
from denizen.gateway.ports import ConnectRequest
from denizen.host.host import Host
from denizen.sdk.actor import Actor
from denizen.server import Options, Server
from denizen.store import Batch, Outcome, Store, Transaction, open_store
from denizen.wire import values
from denizen.wire.calls import ActorCalls, CallTransport
from denizen.wire.runtime import Runtime

T = TypeVar("T")


class HeldStore:
    """Another store that survives its server, and whose groups of commits can be held back."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.groups_held = 0
        self._open = asyncio.Event()
        self._open.set()
        self._arrived = asyncio.Event()

    def hold(self) -> None:
        """From now on no commit reaches the store."""
        self._open.clear()

    def release(self) -> None:
        """Let through what was held, and what comes."""
        self._open.set()

    async def until_held(self) -> None:
        """Return once a group of commits is held back."""
        while not self.groups_held:
            self._arrived.clear()
            await self._arrived.wait()

    # `store.contract.Store`.

    def transaction(self) -> Transaction:
        return self.inner.transaction()

    async def transact(
        self, fn: Callable[[Transaction], Awaitable[T]], *, deadline_s: float = 10.0
    ) -> T:
        return await self.inner.transact(fn, deadline_s=deadline_s)

    async def apply(self, batches: Sequence[Batch]) -> list[Outcome]:
        self.groups_held += 1
        self._arrived.set()
        try:
            await self._open.wait()
        finally:
            self.groups_held -= 1
        return await self.inner.apply(batches)

    def watch(self, key: bytes) -> Awaitable[None]:
        return self.inner.watch(key)

    async def stats(self) -> dict[str, Any]:
        return await self.inner.stats()

    async def close(self) -> None:
        """Only what opened the inner store closes it: it outlives the server."""


class System:
    """One running server. Made by `running`."""

    def __init__(self, start: Callable[[], Server], store: HeldStore, limits: Limits) -> None:
        self._start = start
        self._limits = limits
        self.store = store
        self.server = start()

    @property
    def url(self) -> str:
        """Where clients reach the server."""
        return self.server.url

    @property
    def host(self) -> Host:
        """The host in which the actors live."""
        assert self.server.host is not None, "the system has been stopped"
        return self.server.host

    def actors(self, namespace: str = DEFAULT_NAMESPACE) -> ActorCalls:
        """The actors of a namespace, called without a connection, as over plain HTTP."""
        return ActorCalls(lambda where: _Direct(self, where), namespace)

    def get(self, actor: str, *key: str) -> Any:
        """The actor of a type and key: `await system.get("counter", "a").increment(2)`."""
        return self.actors().get(actor, *key)

    def get_by_id(self, actor: str, actor_id: str) -> Any:
        """The actor of a type and id."""
        return self.actors().get_by_id(actor, actor_id)

    def connect(
        self, actor: str, *key: str, params: str | None = None, format: str = "json"
    ) -> MemoryPeer:
        """The client's end of a new connection that speaks protocol v1; `params` is JSON text."""
        address = Address(DEFAULT_NAMESPACE, actor, key)
        request = ConnectRequest(address, ANONYMOUS, "1", format, params)
        return connect_in_memory(self.host, request, self._limits)

    async def restart(self) -> None:
        """Stop the server and start another over the same store."""
        await self.server.stop(grace_s=0.0)
        self.server = self._start()
        await self.server.start()


@asynccontextmanager
async def running(
    classes: Iterable[type[Actor[Any]]] = (),
    *,
    store_url: str = "memory:",
    store: Store | None = None,
    limits: Limits = DEFAULT,
    runtime: Runtime | None = None,
) -> AsyncIterator[System]:
    """A system with these actors, on a port that the machine chooses, until the block ends.

    `store` (else what `store_url` opens) is closed at the end; `runtime` replaces the one that is
    made of `classes`.
    """
    inner = await open_store(store_url) if store is None else store
    held = HeldStore(inner)
    listed = list(classes)

    def start() -> Server:
        options = Options(store_url=store_url, port=0, limits=limits)
        return Server(options, listed, store=held, runtime=runtime)

    system = System(start, held, limits)
    try:
        await system.server.start()
        yield system
    finally:
        held.release()
        await system.server.stop(grace_s=0.0)
        await inner.close()


class _Direct(CallTransport):
    """The way to an actor past the sockets."""

    def __init__(self, system: System, where: Address) -> None:
        self._system = system
        self._where = where

    async def call(self, action: str, args: list[Any], timeout_s: float | None) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                packed = await self._system.host.call(self._where, action, args, ANONYMOUS)
        except TimeoutError:
            raise RpcTimedOut(f"{self._where}.{action} didn't answer in {timeout_s:g} s.") from None
        return values.unpack(packed)
