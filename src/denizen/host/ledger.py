"""One actor's way to the store: what its turns changed becomes commits, and outputs wait for them.

The gate decides what waits for what; this file gives it its commits. Each commit names the head that it
follows, so the heads' order is kept here, and here alone. An actor has one commit in flight at most.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from denizen.core.errors import DenizenError
from denizen.host.gate import Gate
from denizen.host.ports import StatePort
from denizen.wire.commits import Commit, Head, Record, Snapshot, next_head
from denizen.wire.runtime import Output


class Owner(Protocol):
    """Whose ledger it is."""

    def release(self, outputs: list[Output]) -> None:
        """What came before these outputs is durable: they leave."""
        ...

    def end(self, error: DenizenError) -> None:
        """A commit was refused or failed: this life of the actor is over."""
        ...

    def tombstone_written(self) -> None:
        """The last commit is durable: the actor is destroyed."""
        ...


class Ledger:
    """The commits of one life of an actor (`host.ports.CommitSource`)."""

    __slots__ = (
        "_changed",
        "_creates",
        "_flying_head",
        "_gate",
        "_head",
        "_is_closed",
        "_is_last",
        "_is_open",
        "_is_submitted",
        "_owner",
        "_record",
        "_state",
        "generation",
    )

    def __init__(
        self, owner: Owner, state: StatePort, record: Record, commit_bytes_max: int
    ) -> None:
        self._owner = owner
        self._state = state
        self._record = record
        self._gate = Gate(commit_bytes_max)
        self._head: Head | None = None
        self._flying_head: Head | None = None
        self._creates = False
        self._is_open = False
        self._is_submitted = False
        self._is_last = False
        self._is_closed = False
        self._changed: asyncio.Future[None] | None = None
        self.generation = 0

    def begin(self, snapshot: Snapshot | None) -> bool:
        """Follow what was stored, or nothing (None): then the first commit creates the actor.

        Returns whether the actor never started before.
        """
        head = self._head = None if snapshot is None else snapshot.head
        self._creates = head is None
        self.generation = 1 if head is None else head.generation + 1
        # This start must be known to the store before anything that comes of it leaves.
        self._gate.demand()
        return head is None or head.generation == 0

    def open(self, later: Callable[[Callable[[], None]], None]) -> None:
        """The start has ended well: commit it, `later` if no output asks for it before."""
        self._is_open = True
        later(self.submit_if_wanted)

    def add(
        self, changes: dict[str, bytes | None], outputs: list[Output], state_bytes: int
    ) -> list[Output]:
        """A turn ended: the outputs that may leave now."""
        released = self._gate.add(changes, outputs, state_bytes)
        if (
            not self._is_submitted
            and (outputs or changes)
            and self._is_open
            and self._gate.wants_commit
        ):
            self._submit()
        return released

    def submit_if_wanted(self) -> None:
        """Commit what waits, if anything does and nothing flies."""
        if not self._is_submitted and self._is_open and self._gate.wants_commit:
            self._submit()

    def finish(self, farewell: list[Output]) -> None:
        """The next commit is the last, a tombstone; `farewell` leaves behind it."""
        self._is_last = True
        self._gate.finish(farewell)
        self.submit_if_wanted()

    def close(self) -> None:
        """Nothing is committed or released any more."""
        self._is_closed = True
        self._tell_change()

    async def until_durable(self) -> bool:
        """Wait until this start is known to the store; False if it never will be."""
        while self._head is None or self._head.generation != self.generation:
            if self._is_closed:
                return False
            self.submit_if_wanted()
            await self.change()
        return True

    def change(self) -> "asyncio.Future[None]":
        """Done at the next commit, or at the close."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    # For the committer.

    def take_commit(self) -> Commit | None:
        """What changed until now, as one commit."""
        section = None if self._is_closed else self._gate.take()
        if section is None:
            self._is_submitted = False
            return None
        follows, record, is_last = self._head, self._record, self._is_last
        head = self._flying_head = next_head(
            follows, self.generation, section.changes, section.state_bytes, is_destroyed=is_last
        )
        creates, self._creates = self._creates, False
        return Commit(
            record.namespace,
            record.actor_id,
            follows,
            head,
            section.changes,
            record if creates else None,
            record if is_last else None,
        )

    def commit_settled(self, error: DenizenError | None) -> None:
        """The commit in flight is durable, or `error` says why it isn't."""
        self._is_submitted = False
        if self._is_closed:
            return
        if error is not None:
            self._owner.end(error)
            return
        head = self._head = self._flying_head
        if self._changed is not None:
            self._tell_change()
        outputs = self._gate.landed()
        if self._gate.wants_commit:
            self._submit()
        if outputs:
            self._owner.release(outputs)
        if head is not None and head.is_destroyed:
            self._owner.tombstone_written()

    def _submit(self) -> None:
        if self._is_closed:
            return
        self._is_submitted = True
        try:
            self._state.submit(self)
        except DenizenError as error:
            self._owner.end(error)

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)
