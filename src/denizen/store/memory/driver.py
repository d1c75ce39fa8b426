"""The memory driver: one group at a time is flushed, for as long as the faults say.

What a request finds is judged when its group's flush ends; so nothing can be read that a power cut
could take back (unless `no_sync`). Uses the running loop's timers and no thread: on a simulated
loop, with seeded faults, it repeats itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from denizen.core import clock, entropy
from denizen.core.errors import (
    CommitOutcomeUnknown,
    DenizenError,
    Overloaded,
    StoreClosed,
    StoreConflict,
    StoreUnavailable,
)
from denizen.store.buffer import Pair
from denizen.store.checks import check_batches, check_key
from denizen.store.contract import Batch, Outcome, Transaction
from denizen.store.group import CommitRequest, Group
from denizen.store.memory.faults import Dice, Faults
from denizen.store.memory.history import History
from denizen.store.recent import AGE_MAX_S, RecentWrites
from denizen.store.retry import Markers, transact
from denizen.store.transaction import BufferedTransaction
from denizen.store.watches import Watches

T = TypeVar("T")

REQUESTS_WAITING_MAX = 10_000


class _Request:
    """A commit or batches on the way to the group that takes them in."""

    def __init__(self, judge: Callable[[Group], Any], *, can_conflict: bool) -> None:
        self.judge = judge
        self.can_conflict = can_conflict
        self.is_late = False
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def succeed(self, result: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(result)

    def fail(self, error: DenizenError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class MemoryStore:
    """See `contract.Store`. `faults` may be changed at any time."""

    def __init__(
        self,
        faults: Faults | None = None,
        source: entropy.Source | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        on_landed: Callable[[Mapping[bytes, bytes | None]], None] = lambda writes: None,
    ) -> None:
        """`loop` has the timers of flushes (None: whichever runs): a disk outlives who writes to it.

        `on_landed` is told what each group wrote (None: cleared), at the moment when it is durable.
        """
        self.faults = faults or Faults()
        self._loop = loop
        self._on_landed = on_landed
        self._dice = Dice(self.faults, source or entropy.Source())
        self._history = History()
        self._recent = RecentWrites(0)
        self._watches = Watches()
        self._markers = Markers()
        self._version = self._durable_version = self._last_version = 0
        self._waiting: list[_Request] = []
        self._flushing: list[_Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self.power_cuts = 0
        self._is_closed = False

    # The contract.

    def transaction(self) -> Transaction:
        return self._begin()

    async def transact(
        self, fn: Callable[[Transaction], Awaitable[T]], *, deadline_s: float = 10.0
    ) -> T:
        return await transact(self._begin, fn, deadline_s=deadline_s, markers=self._markers)

    async def apply(self, batches: Sequence[Batch]) -> list[Outcome]:
        batches = tuple(batches)
        check_batches(batches)
        request = _Request(lambda group: group.judge_batches(batches), can_conflict=False)
        outcomes: list[Outcome] = await self._send(request)
        return outcomes

    def watch(self, key: bytes) -> Awaitable[None]:
        self._check_open()
        check_key(key)
        return self._watches.add(key, self._history.get(key, self._version))

    async def stats(self) -> dict[str, Any]:
        self._check_open()
        keys, size_bytes = self._history.sizes(self._version)
        return {"driver": "memory", "format_version": 1, "keys": keys, "bytes": size_bytes}

    async def close(self) -> None:
        if self._is_closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._land(self._flushing + self._waiting)
        self._is_closed = True
        self._watches.close()

    # For tests.

    def power_cut(self) -> None:
        """Go back to the last durable point.

        The group that is being flushed made it or didn't, by chance. Whoever waits gets
        `CommitOutcomeUnknown`; transactions that were open can't be used any more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        in_flight, self._flushing = self._flushing, []
        waiting, self._waiting = self._waiting, []
        for request in in_flight + waiting:
            request.fail(_unknown())
        if in_flight and self._dice.one_of(2):
            self._land(in_flight)
        self._history.rewind(self._durable_version)
        self._version = self._durable_version
        self._recent = RecentWrites(self._last_version)
        self.power_cuts += 1
        self._watches.close()
        self._watches = Watches()

    # The engine of transactions.

    @property
    def version(self) -> int:
        return self._version

    async def snapshot(self, started_at: float) -> "_MemorySnapshot":
        return _MemorySnapshot(self, self._version)

    async def commit(self, request: CommitRequest) -> bytes:
        sent = _Request(lambda group: group.judge_commit(request), can_conflict=True)
        version: bytes = await self._send(sent)
        return version

    async def before_read(self, power_cuts: int) -> History:
        """Wait as long as a read takes, then hand out the map. Raises `StoreUnavailable`."""
        delay_s = self._dice.seconds(self.faults.read_s)
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        self._check_open()
        if power_cuts != self.power_cuts or self._dice.throws(self.faults.unavailable):
            raise StoreUnavailable("The store can't be reached (a simulated fault).")
        return self._history

    # Flushing.

    def _begin(self) -> BufferedTransaction:
        self._check_open()
        return BufferedTransaction(self)

    async def _send(self, request: _Request) -> Any:
        self._check_open()
        if len(self._waiting) >= REQUESTS_WAITING_MAX:
            raise Overloaded(f"{REQUESTS_WAITING_MAX} commits wait for the store: try again later.")
        if self._dice.throws(self.faults.unavailable):
            raise StoreUnavailable("The store can't be written (a simulated fault).")
        self._waiting.append(request)
        self._start_flush()
        return await request.answer

    def _start_flush(self) -> None:
        if self._timer is not None or not self._waiting:
            return
        self._flushing, self._waiting = self._waiting, []
        flush_s = self._dice.seconds(self.faults.flush_s)
        if self.faults.no_sync:
            self._land(self._flushing, is_durable=False)
            self._flushing = []
        loop = self._loop or asyncio.get_running_loop()
        self._timer = loop.call_later(flush_s, self._end_flush)

    def _end_flush(self) -> None:
        self._timer = None
        group, self._flushing = self._flushing, []
        self._land(group)
        self._start_flush()

    def _land(self, requests: list[_Request], *, is_durable: bool = True) -> None:
        """Judge the requests, apply them and answer."""
        self._last_version += 1
        group = Group(self._last_version, self._recent, self._read_now)
        answers = [(request, self._judge(request, group)) for request in requests]
        self._history.write(group.version, clock.monotonic(), group.writes, group.ranges)
        self._version = group.version
        if is_durable:
            self._durable_version = group.version
            self._on_landed(group.writes)
        group.record()
        self._history.forget(clock.monotonic() - AGE_MAX_S, self._durable_version)
        for request, result in answers:
            if isinstance(result, DenizenError):
                request.fail(result)
            else:
                request.succeed(result)
        self._watches.notice(group.writes, group.ranges)

    def _judge(self, request: _Request, group: Group) -> Any:
        """The request's result, or the error that answers it."""
        if not request.is_late and (fault := self._draw_fault(request, group)) is not None:
            return fault
        try:
            return request.judge(group)
        except DenizenError as error:
            return error

    def _draw_fault(self, request: _Request, group: Group) -> DenizenError | None:
        if request.can_conflict and self._dice.throws(self.faults.conflict):
            return StoreConflict("Another transaction was first (a simulated fault).")
        if not self._dice.throws(self.faults.unknown):
            return None
        fate = self._dice.one_of(3)
        if fate == 0:
            request.is_late = True
            self._judge(request, group)
        elif fate == 1:
            request.is_late = True
            self._waiting.append(request)
        return _unknown()

    def _read_now(self, key: bytes) -> bytes | None:
        return self._history.get(key, self._version)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosed("The store was closed: open it again.")


class _MemorySnapshot:
    """See `transaction.Snapshot`."""

    def __init__(self, store: MemoryStore, version: int) -> None:
        self.version = version
        self._store = store
        self._power_cuts = store.power_cuts

    async def get(self, key: bytes) -> bytes | None:
        history = await self._store.before_read(self._power_cuts)
        return history.get(key, self.version)

    async def get_chunk(
        self, begin: bytes, end: bytes, limit: int, *, reverse: bool
    ) -> tuple[list[Pair], bool]:
        history = await self._store.before_read(self._power_cuts)
        return history.chunk(begin, end, limit, self.version, reverse=reverse)

    def close(self) -> None:
        """Nothing is held."""


def _unknown() -> CommitOutcomeUnknown:
    return CommitOutcomeUnknown(
        "The commit's answer was lost (a simulated fault): it may have been applied."
    )
