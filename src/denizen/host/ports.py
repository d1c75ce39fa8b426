"""What a host needs from the rest: a place where its actors' state is read and made durable."""

from collections.abc import Mapping
from typing import Protocol

from denizen.core.address import Address
from denizen.core.errors import DenizenError
from denizen.wire.commits import Commit, Record, Snapshot


class CommitSource(Protocol):
    """One actor, as the committer sees it."""

    def take_commit(self) -> Commit | None:
        """The next commit, everything that changed until now; None if there is nothing left."""
        ...

    def commit_settled(self, error: DenizenError | None) -> None:
        """The commit taken last is durable, or `error` says why it isn't."""
        ...


class StatePort(Protocol):
    """Reads and writes of actors' state. All from one event loop."""

    async def find(self, address: Address) -> Snapshot | None:
        """The actor at an address; None if there is none. Raises `ActorDestroyed` by id, `StoreError`."""
        ...

    async def find_by_tags(
        self,
        namespace: str,
        tags: Mapping[str, str] | None,
        create_tags: Mapping[str, str] | None,
        region: str,
    ) -> Record | None:
        """The oldest actor whose tags contain `tags`, else one made with `create_tags`, atomically.

        `tags` None: always a new one. None: there is none, and none was to be made.
        """
        ...

    def submit(self, source: CommitSource) -> None:
        """`source` has something to commit: it is asked for it when its turn in a group comes.

        Called again for the same source only after its commit settled. Raises `Overloaded`.
        """
        ...
