"""One group of writes, judged in order and made into one net change.

Pure: what the store holds comes through `read`, what was written lately from `RecentWrites`.
Both drivers of this package commit through it: what they differ in is how a net change becomes
durable.
"""

from collections.abc import Callable, Sequence

import msgspec

from denizen.core import clock
from denizen.core.errors import StoreConflict, TransactionTooOld
from denizen.core.limits import DEFAULT
from denizen.store.buffer import WriteBuffer, add_to
from denizen.store.contract import Batch, Outcome
from denizen.store.recent import Range, RecentWrites, touches

REQUESTS_MAX = 1 << 16
"""A versionstamp has two bytes for the place within a group."""

_APPLIED = Outcome.APPLIED


class CommitRequest(msgspec.Struct):
    """A transaction as it asks to be committed. Times are of `clock.monotonic`."""

    started_at: float
    read_version: int | None
    read_keys: set[bytes]
    read_ranges: list[Range]
    conflict_keys: set[bytes]
    buffer: WriteBuffer


class Group:
    """The net change of the requests judged so far.

    `ranges` are cleared first, then `writes` hold (None: cleared).
    """

    def __init__(
        self, version: int, recent: RecentWrites, read: Callable[[bytes], bytes | None]
    ) -> None:
        self.version = version
        self.writes: dict[bytes, bytes | None] = {}
        self.ranges: list[Range] = []
        self.has_clears = False
        self._recent = recent
        self._read = read
        self._conflict_keys: set[bytes] = set()
        self._count = 0

    @property
    def is_empty(self) -> bool:
        return not (self.writes or self.ranges)

    def current(self, key: bytes) -> bytes | None:
        """What the key holds once all accepted so far is applied."""
        writes = self.writes
        if key in writes:
            return writes[key]
        if self.ranges and any(begin <= key < end for begin, end in self.ranges):
            return None
        return self._read(key)

    def judge_batches(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Take in the batches whose guards hold."""
        # The hot loop of group commit: most batches have one guard, which holds, and only set keys.
        current, writes = self.current, self.writes
        outcomes = []
        for batch in batches:
            for guard in batch.guards:
                if current(guard.key) != guard.expected:
                    outcomes.append(self._refuse(batch))
                    break
            else:
                if batch.clear_ranges or batch.clears:
                    self._clear(batch)
                    writes = self.writes
                writes.update(batch.sets)
                outcomes.append(_APPLIED)
        return outcomes

    def judge_commit(self, request: CommitRequest) -> bytes:
        """Take in a transaction and return its version.

        Raises `StoreConflict` if a key that it read was written since, or `TransactionTooOld`.
        """
        check_age(request.started_at)
        since = request.read_version
        if since is not None:
            if since < self._recent.floor:
                raise too_old()
            if self._conflicts(request, since):
                raise StoreConflict(
                    "Another transaction has written a key that this one read: run it again."
                )
        version = self._next_version()
        self._conflict_keys |= request.conflict_keys
        self._take(request.buffer, version)
        return version

    def record(self) -> None:
        """Let later transactions be judged against this group. To be called once it is durable."""
        keys = frozenset(self.writes)
        if self._conflict_keys:
            keys |= self._conflict_keys
        self._recent.record(self.version, clock.monotonic(), keys, self.ranges)

    def _refuse(self, batch: Batch) -> Outcome:
        """A guard of the batch doesn't hold: it is stale, or was applied before."""
        marker = batch.marker
        if marker is not None and self.current(marker[0]) == marker[1]:
            return Outcome.ALREADY
        return Outcome.REFUSED

    def _clear(self, batch: Batch) -> None:
        for begin, end in batch.clear_ranges:
            self._clear_range(begin, end)
        if batch.clears:
            self.has_clears = True
            self.writes.update(dict.fromkeys(batch.clears))

    def _conflicts(self, request: CommitRequest, since: int) -> bool:
        """Whether something that was read was written after `since`, in this group or before."""
        for key in request.read_keys:
            if key in self.writes or key in self._conflict_keys:
                return True
            if any(begin <= key < end for begin, end in self.ranges):
                return True
            if self._recent.was_written(key, since):
                return True
        for begin, end in request.read_ranges:
            if touches(begin, end, self.writes, self.ranges):
                return True
            if touches(begin, end, self._conflict_keys, ()):
                return True
            if self._recent.was_range_written(begin, end, since):
                return True
        return False

    def _take(self, buffer: WriteBuffer, version: bytes) -> None:
        for begin, end in buffer.ranges:
            self._clear_range(begin, end)
        self.has_clears = self.has_clears or None in buffer.writes.values()
        self.writes.update(buffer.writes)
        for key, amount in buffer.adds.items():
            self.writes[key] = add_to(self.current(key), amount)
        for prefix, suffix, value in buffer.stamped:
            self.writes[prefix + version + suffix] = value

    def _clear_range(self, begin: bytes, end: bytes) -> None:
        self.writes = {k: v for k, v in self.writes.items() if not begin <= k < end}
        self.ranges.append((begin, end))

    def _next_version(self) -> bytes:
        """Versionstamps are unique and ascend: the group's version, then the place within it."""
        self._count += 1
        return self.version.to_bytes(8, "big") + self._count.to_bytes(2, "big")


def check_age(started_at: float) -> None:
    """Raises `TransactionTooOld`."""
    if clock.monotonic() - started_at > DEFAULT.transaction_age_s:
        raise too_old()


def too_old() -> TransactionTooOld:
    return TransactionTooOld(
        f"The transaction is older than {DEFAULT.transaction_age_s:g} s, or more was written since "
        "than is remembered: run it again, with less work in it."
    )
