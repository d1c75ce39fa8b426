"""Group commit: the commits of all actors, gathered while the flush before them is under way.

A source (an actor's instance) submits itself, not a commit: it is asked for its commit when a group is
made, so all that changed until that moment is in it. A group has at most 1 MiB or 1,000 commits. How many
groups fly at once is a limit: one where a single writer syncs, as more would only leave smaller.

- C1 An actor has at most one commit in flight.
- C2 A commit that is refused is taken out; the others of its group go through.
- C3 A commit whose outcome is unknown is sent again: its marker tells whether it was applied.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from denizen.core import entropy, failpoints
from denizen.core.errors import (
    CommitOutcomeUnknown,
    DenizenError,
    InternalError,
    NotHere,
    Overloaded,
    StoreError,
)
from denizen.core.limits import Limits
from denizen.state.batches import batch_of, size_of
from denizen.store.contract import Batch, Outcome, Store
from denizen.telemetry import logs
from denizen.wire.commits import Commit

_UNKNOWN_TRIES_MAX = 5
_log = logs.get("state")


class Source(Protocol):
    """What has commits (`host.ports.CommitSource`)."""

    def take_commit(self) -> Commit | None: ...

    def commit_settled(self, error: DenizenError | None) -> None: ...


class Committer:
    """Makes groups and gives each source its outcome.

    `on_destroyed` is called after a flush that destroyed actors.
    """

    def __init__(self, store: Store, limits: Limits, on_destroyed: Callable[[], None]) -> None:
        self._store = store
        self._on_destroyed = on_destroyed
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Source] = deque()
        self._flights: set[asyncio.Future[list[Outcome]]] = set()
        self._is_flush_due = False

    def submit(self, source: Source) -> None:
        """`source` has a commit to give. Raises `Overloaded` over the bound."""
        if len(self._waiting) >= self._limits.commits_waiting_max:
            raise Overloaded("Too many commits wait for the store: try again later.")
        self._waiting.append(source)
        if not self._is_flush_due and len(self._flights) < self._limits.groups_in_flight_max:
            # At the end of this loop turn: all that arrived in it shares one flush.
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    async def close(self) -> None:
        """Wait for what is in flight."""
        while self._flights:
            await asyncio.wait(set(self._flights))

    def _flush(self) -> None:
        self._is_flush_due = False
        while self._waiting and len(self._flights) < self._limits.groups_in_flight_max:
            group = self._gather()
            if group.sources:
                failpoints.hit("committer.before_flush")
                self._watch(group, asyncio.ensure_future(self._apply(group.batches)))

    def _watch(self, group: "_Group", flight: "asyncio.Future[list[Outcome]]") -> None:
        self._flights.add(flight)
        flight.add_done_callback(partial(self._landed, group))

    def _gather(self) -> "_Group":
        group = _Group()
        waiting, batches = self._waiting, group.batches
        commits_max, bytes_max = self._limits.group_commits_max, self._limits.group_bytes_max
        size = 0
        while waiting and size < bytes_max and len(batches) < commits_max:
            source = waiting.popleft()
            commit = source.take_commit()
            if commit is None:
                continue
            batch = batch_of(commit)
            group.sources.append(source)
            batches.append(batch)
            size += size_of(batch)
            if commit.destroys is not None:
                group.destroys = True
        return group

    def _apply(self, batches: list[Batch]) -> Awaitable[list[Outcome]]:
        """Hand a group to the store. A future of its own is waited for without a task: most groups."""
        try:
            return self._store.apply(batches)
        except StoreError as error:
            refused: asyncio.Future[list[Outcome]] = self._loop.create_future()
            refused.set_exception(error)
            return refused

    def _landed(self, group: "_Group", flight: "asyncio.Future[list[Outcome]]") -> None:
        self._flights.discard(flight)
        error = CommitOutcomeUnknown("Cancelled.") if flight.cancelled() else flight.exception()
        if isinstance(error, CommitOutcomeUnknown) and not group.was_retried:
            group.was_retried = True
            self._watch(group, self._loop.create_task(self._apply_again(group.batches, error)))
            return
        if error is None:
            self._settle(group, flight.result())
        else:
            self._fail(group, error)
        if self._waiting and not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    async def _apply_again(
        self, batches: list[Batch], unknown: CommitOutcomeUnknown
    ) -> list[Outcome]:
        """Send batches of unknown outcome until the store says what became of them (C3)."""
        for attempt in range(_UNKNOWN_TRIES_MAX):
            await asyncio.sleep(entropy.uniform(0, 0.01 * 2**attempt))
            try:
                return await self._apply(batches)
            except CommitOutcomeUnknown as error:
                unknown = error
            except StoreError:
                # What this try says doesn't tell what became of the one before.
                break
        raise unknown

    def _settle(self, group: "_Group", outcomes: list[Outcome]) -> None:
        failpoints.hit("committer.after_flush")
        refused = _REFUSED_IN_DOUBT if group.was_retried else _REFUSED
        for source, outcome in zip(group.sources, outcomes, strict=True):
            source.commit_settled(refused if outcome is Outcome.REFUSED else None)
        if group.destroys:
            self._on_destroyed()

    def _fail(self, group: "_Group", error: BaseException) -> None:
        if not isinstance(error, StoreError):
            _log.error("a group could not be committed", reason=repr(error))
            error = InternalError()
        else:
            _log.error("a group could not be committed", code=error.code, reason=error.message)
        for source in group.sources:
            source.commit_settled(error)


class _Group:
    """The commits of one flush and where they come from."""

    __slots__ = ("batches", "destroys", "sources", "was_retried")

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.batches: list[Batch] = []
        self.destroys = False
        self.was_retried = False


_REFUSED = NotHere("Another generation of this actor has taken over; nothing was changed here.")
_REFUSED_IN_DOUBT = CommitOutcomeUnknown(
    "A commit's answer was lost, and another generation of this actor has taken over since: the commit "
    "may have been applied before. Ask the actor before sending the call again."
)
