"""What every store is: an ordered key-value map with serializable transactions.

Rooms above see this file only; a driver is chosen by URL in `store.open`. FoundationDB's semantics
in small: reads come from one snapshot, a commit is refused (`StoreConflict`) if a key that was read
has changed since, a commit whose answer was lost raises `CommitOutcomeUnknown`.

There are two ways to write.

- `transact(fn)`: any reads and writes, run again on a conflict, applied at most once.
- `apply(batches)`: the path of group commit. A *batch* is all or nothing: its guards name keys and
  the exact values that they must hold. The batches of one call become durable together and are
  judged one by one, in order, each seeing those before it; a refused one is left out and the others
  go through. It is a part of the contract, and not made of `transact`, because each store has one
  cheap way to check many heads and write many rows at once (see docs/design/0002).

Bounds, the same on every driver, refused with the same errors: key 10,000 B (`KeyTooLarge`), value
100,000 B (`ValueTooLarge`), transaction 10 MB (`TransactionTooLarge`) and 4 s
(`TransactionTooOld`). A transaction's size is what it writes: keys, values, and the keys of guards,
clears and explicit conflicts; the call that would pass the bound raises and leaves no trace. Keys
that begin with FF are the store's own (`KeyReserved`); a range may end at FF.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Guard(msgspec.Struct, frozen=True, gc=False):
    """A key and the value that it must hold (None: must be absent)."""

    key: bytes
    expected: bytes | None


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Writes that are applied together if all guards hold.

    Order within a batch: `clear_ranges` (begin, end exclusive), then `clears`, then `sets`.
    `marker` makes a replay harmless: a key and a value that the batch itself sets; if a guard
    fails but the marker's key holds the marker's value, the batch was applied before.
    """

    guards: tuple[Guard, ...]
    sets: tuple[tuple[bytes, bytes], ...] = ()
    clears: tuple[bytes, ...] = ()
    clear_ranges: tuple[tuple[bytes, bytes], ...] = ()
    marker: tuple[bytes, bytes] | None = None


class Outcome(Enum):
    """What became of a batch. The first two mean: it is durable."""

    APPLIED = "applied"
    ALREADY = "already"
    REFUSED = "refused"


class Transaction(Protocol):
    """One transaction. Reads see one snapshot and this transaction's own writes.

    `snapshot=True` reads add no conflict. A transaction is used by one task at a time and ends
    with `commit` or `cancel`; after that every use raises `StoreClosed`.
    """

    async def get(self, key: bytes, *, snapshot: bool = False) -> bytes | None: ...

    def get_range(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int = 0,
        reverse: bool = False,
        snapshot: bool = False,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Pairs with begin <= key < end in order of key, streamed; `limit` 0 means all.

        Of this transaction's own writes it shows those made before this call.
        """
        ...

    def set(self, key: bytes, value: bytes) -> None: ...

    def clear(self, key: bytes) -> None: ...

    def clear_range(self, begin: bytes, end: bytes) -> None: ...

    def add(self, key: bytes, amount: int) -> None:
        """Add to a little-endian signed 64-bit integer, without a read conflict.

        An absent one counts as 0; a sum out of range wraps.
        """
        ...

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        """Set the key prefix + 10 bytes of this commit's version + suffix.

        Unique; ascending between transactions of which one began after the other was acknowledged.
        This transaction doesn't see the key.
        """
        ...

    def add_read_conflict_key(self, key: bytes) -> None: ...

    def add_write_conflict_key(self, key: bytes) -> None: ...

    async def commit(self) -> bytes | None:
        """Make the writes durable and return the 10 bytes of the version.

        None if nothing was written.

        Raises `StoreConflict`, `CommitOutcomeUnknown`, `StoreUnavailable`, `TransactionTooOld`,
        `TransactionTooLarge`.
        """
        ...

    def cancel(self) -> None:
        """Forget it. Harmless when it has ended."""
        ...


class Store(Protocol):
    """A store that has been opened. All methods belong to the event loop that opened it."""

    def transaction(self) -> Transaction: ...

    async def transact(
        self, fn: Callable[[Transaction], Awaitable[T]], *, deadline_s: float = 10.0
    ) -> T:
        """Run `fn` in a transaction and commit it; again, with backoff and jitter, on a conflict.

        An idempotency marker is written with it, so a commit whose outcome is unknown is looked up
        and never applied twice. `fn` may run several times and must have no other effect. Raises
        what `fn` raised (nothing is written then), or the last error once `deadline_s` has passed;
        `StoreUnavailable` isn't waited out here, since only the caller knows who waits.
        """
        ...

    def apply(self, batches: Sequence[Batch]) -> Awaitable[list[Outcome]]:
        """Apply guarded batches as one durable group; an outcome for each, in order.

        It may be awaited once. A driver that has a future at hand returns that: a committer then waits
        without a task.

        Raises `StoreUnavailable` (no batch is durable, all may be sent again),
        `CommitOutcomeUnknown` (they may be durable: send them again, markers tell),
        `TransactionTooLarge`.
        """
        ...

    def watch(self, key: bytes) -> Awaitable[None]:
        """Ends once the key's value differs from what it was at this call.

        Few: one a server and slice. Raises `StoreClosed` if the store is closed first.
        """
        ...

    async def stats(self) -> dict[str, Any]:
        """Figures for operators: keys, bytes, format version, driver."""
        ...

    async def close(self) -> None:
        """End what is under way and let go of the data."""
        ...
