"""The state of actors, as a host needs it (`host.ports.StatePort`)."""

from collections.abc import Mapping

from denizen.core.address import Address
from denizen.core.limits import Limits
from denizen.state.committer import Committer, Source
from denizen.state.registry import Registry
from denizen.state.sweeper import Sweeper
from denizen.store.contract import Store
from denizen.wire.commits import Record, Snapshot


class StateService:
    """Registry, committer and sweeper over one store."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._registry = Registry(store)
        self._sweeper = Sweeper(store)
        self._committer = Committer(store, limits, self._sweeper.nudge)

    def start(self) -> None:
        """Begin to clear what destroyed actors left."""
        self._sweeper.start()

    async def find(self, address: Address) -> Snapshot | None:
        return await self._registry.find(address)

    async def find_by_tags(
        self,
        namespace: str,
        tags: Mapping[str, str] | None,
        create_tags: Mapping[str, str] | None,
        region: str,
    ) -> Record | None:
        return await self._registry.find_by_tags(namespace, tags, create_tags, region)

    def submit(self, source: Source) -> None:
        self._committer.submit(source)

    async def close(self) -> None:
        """Wait for commits in flight, and stop sweeping."""
        await self._sweeper.close()
        await self._committer.close()
