"""`transact`: run a function in a transaction until it is committed, and apply it at most once.

The theory: each attempt of one call writes the same marker row and also *reads* it, as a conflict.
So of two attempts at most one can ever be committed, even if the first is still on its way to the
store when the second begins. An attempt after an unknown outcome looks at the row first: found, it
tells which attempt was committed, and that one's result is returned.

Markers are the store's own keys, ordered by time. A finished call's marker is cleared along with a
later one of this process; what a dead process left is cleared after an hour.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from denizen.core import clock, entropy
from denizen.core.errors import (
    CommitOutcomeUnknown,
    StoreConflict,
    StoreError,
    StoreUnavailable,
    TransactionTooOld,
)
from denizen.store.transaction import BufferedTransaction

T = TypeVar("T")

_PREFIX = b"\xff/marker/"
_AGE_MAX_S = 3_600.0
_FINISHED_MAX = 1_024
_TIDIED_AT_ONCE = 8
_SWEEP_EVERY = 1_024

_DELAY_FIRST_S = 0.001
_DELAY_MAX_S = 0.25


class Markers:
    """The marker rows of one process: made, and cleared in small portions."""

    def __init__(self) -> None:
        self._finished: deque[bytes] = deque(maxlen=_FINISHED_MAX)
        self._made = 0

    def new(self) -> bytes:
        """A key that nobody else has."""
        return _key_at(clock.now()) + entropy.token(16)

    def write(self, transaction: BufferedTransaction, key: bytes, attempt: int) -> None:
        """Put the marker into an attempt, and clear a few that have served."""
        transaction.add_any_read_conflict_key(key)
        transaction.buffer.set(key, attempt.to_bytes(4, "big"))
        for _ in range(min(_TIDIED_AT_ONCE, len(self._finished))):
            transaction.buffer.clear(self._finished.popleft())
        if self._made % _SWEEP_EVERY == 0:
            transaction.buffer.clear_range(_PREFIX, _key_at(clock.now() - _AGE_MAX_S))
        self._made += 1

    def finish(self, key: bytes) -> None:
        """The call that wrote `key` is over."""
        self._finished.append(key)


async def transact(
    begin: Callable[[], BufferedTransaction],
    fn: Callable[[BufferedTransaction], Awaitable[T]],
    *,
    deadline_s: float,
    markers: Markers | None,
) -> T:
    """See `contract.Store.transact`.

    `markers` is None for a driver whose failed commits are known to be void in this process.
    """
    call = _Call(begin, fn, markers, ends_at=clock.monotonic() + deadline_s)
    return await call.run()


class _Call(Generic[T]):
    """The attempts of one `transact`."""

    def __init__(
        self,
        begin: Callable[[], BufferedTransaction],
        fn: Callable[[BufferedTransaction], Awaitable[T]],
        markers: Markers | None,
        ends_at: float,
    ) -> None:
        self._begin = begin
        self._fn = fn
        self._markers = markers
        self._marker = markers.new() if markers is not None else b""
        self._ends_at = ends_at
        self._attempt = 0
        self._results: dict[int, T | _Raised] = {}
        self._is_unknown = False
        """Whether an attempt may have been committed, or may be yet."""

    async def run(self) -> T:
        while True:
            try:
                return _unwrap(await self._try_once())
            except (StoreConflict, TransactionTooOld) as error:
                self._give_up_when_late(error)
            except StoreUnavailable as error:
                if not self._is_unknown:
                    raise
                self._give_up_when_late(error)
            except CommitOutcomeUnknown as error:
                self._is_unknown = self._markers is not None
                self._give_up_when_late(error)
            await self._pause()
            self._attempt += 1

    async def _try_once(self) -> "T | _Raised":
        transaction = self._begin()
        try:
            if self._is_unknown and (found := await transaction.get_any(self._marker)) is not None:
                return self._finish(self._results[int.from_bytes(found, "big")])
            result, transaction = await self._run_fn(transaction)
            if self._markers is None or (transaction.buffer.is_empty and not self._is_unknown):
                await transaction.commit()
                return result
            self._results[self._attempt] = result
            self._markers.write(transaction, self._marker, self._attempt)
            await transaction.commit()
            return self._finish(result)
        finally:
            transaction.cancel()

    async def _run_fn(
        self, transaction: BufferedTransaction
    ) -> "tuple[T | _Raised, BufferedTransaction]":
        """What `fn` returned or raised, and the transaction that stands for it.

        While an earlier attempt may still be committed, "it raised, so nothing is written" has to
        be made true first: by a transaction of the marker alone, which shuts that attempt out.
        """
        try:
            return await self._fn(transaction), transaction
        except StoreError:
            raise
        except Exception as error:
            if not self._is_unknown:
                raise
            transaction.cancel()
            return _Raised(error), self._begin()

    def _finish(self, result: "T | _Raised") -> "T | _Raised":
        assert self._markers is not None
        self._markers.finish(self._marker)
        return result

    def _give_up_when_late(self, error: StoreError) -> None:
        """Once the deadline has passed: raises the error, or what is true of all attempts."""
        if clock.monotonic() < self._ends_at:
            return
        if self._is_unknown:
            raise CommitOutcomeUnknown(
                "A commit's answer was lost, and what became of it could not be found out in "
                "time: read before doing it again."
            ) from error
        raise error

    async def _pause(self) -> None:
        """Full jitter: losers of one conflict don't meet again in step."""
        longest = min(_DELAY_MAX_S, _DELAY_FIRST_S * 2 ** min(self._attempt, 10))
        left = max(0.0, self._ends_at - clock.monotonic())
        await asyncio.sleep(min(entropy.uniform(0, longest), left))


class _Raised:
    """`fn` raised, and that is the call's outcome."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _unwrap(result: T | _Raised) -> T:
    if isinstance(result, _Raised):
        raise result.error
    return result


def _key_at(at: float) -> bytes:
    return _PREFIX + max(0, int(at * 1_000)).to_bytes(8, "big")
