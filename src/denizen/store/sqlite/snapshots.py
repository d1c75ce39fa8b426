"""Readers. A snapshot is a read transaction on a connection of its own, from a bounded pool.

Reads run right on the event loop: a point read takes less than handing it to a thread would (see
docs/design/0002). A snapshot ends with its transaction's 4 s at the latest, so no reader can keep
the log from being copied into the database for longer.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import apsw

from denizen.core import clock
from denizen.core.errors import Overloaded, StoreClosed
from denizen.core.limits import DEFAULT
from denizen.store.buffer import Pair
from denizen.store.group import too_old
from denizen.store.sqlite import statements
from denizen.store.sqlite.faults import mapped
from denizen.store.sqlite.files import open_reader

SNAPSHOTS_MAX = 64
WAITING_MAX = 10_000
CHUNK_BYTES_MAX = 256 * 1024


class ConnectionSnapshot:
    """See `transaction.Snapshot`."""

    def __init__(self, pool: "SnapshotPool", connection: apsw.Connection, version: int) -> None:
        self.version = version
        self._pool = pool
        self._connection: apsw.Connection | None = connection
        self._expiry: asyncio.TimerHandle | None = None

    async def get(self, key: bytes) -> bytes | None:
        connection = self._reader()
        try:
            value: bytes | None = connection.execute(statements.GET, (key,)).get
        except apsw.Error as error:
            raise mapped(error, self._pool.path) from None
        return value

    async def get_chunk(
        self, begin: bytes, end: bytes, limit: int, *, reverse: bool
    ) -> tuple[list[Pair], bool]:
        connection = self._reader()
        try:
            pairs, is_last = _read_chunk(connection, begin, end, limit, reverse=reverse)
        except apsw.Error as error:
            raise mapped(error, self._pool.path) from None
        if not is_last:
            await asyncio.sleep(0)  # others run between the chunks of a long range
        return pairs, is_last

    def expire_in(self, seconds: float) -> None:
        self._expiry = asyncio.get_running_loop().call_later(max(0.0, seconds), self.close)

    def close(self) -> None:
        if self._connection is not None:
            if self._expiry is not None:
                self._expiry.cancel()
            connection, self._connection = self._connection, None
            self._pool.give_back(connection)

    def _reader(self) -> apsw.Connection:
        if self._connection is None:
            raise too_old()
        return self._connection


class SnapshotPool:
    """At most `SNAPSHOTS_MAX` snapshots at a time; who comes later waits for one to end."""

    def __init__(self, path: str, vfs: str | None, version: Callable[[], int]) -> None:
        self.path = path
        self._vfs = vfs
        self._version = version
        self._idle: list[apsw.Connection] = []
        self._in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._when_empty: Callable[[], None] | None = None
        self._is_held = False
        self._is_closed = False

    async def open(self, started_at: float) -> ConnectionSnapshot:
        """A snapshot that lives for what is left of a transaction's time.

        Raises `TransactionTooOld`, `StoreUnavailable`, `StoreClosed`, `Overloaded`.
        """
        ends_at = started_at + DEFAULT.transaction_age_s
        if self._is_full:
            await self._wait_for_place(ends_at)
        else:
            self._in_use += 1
        try:
            return self._begin(ends_at)
        except BaseException:
            self._free_place()
            raise

    def read_now(self, key: bytes) -> bytes | None:
        """What a key holds at this moment. Raises `StoreUnavailable`."""
        if not self._idle:
            self._idle.append(open_reader(self.path, self._vfs))
        try:
            value: bytes | None = self._idle[-1].execute(statements.GET, (key,)).get
        except apsw.Error as error:
            raise mapped(error, self.path) from None
        return value

    def give_back(self, connection: apsw.Connection) -> None:
        """A snapshot has ended."""
        try:
            connection.execute("COMMIT")
        except apsw.Error:
            connection.close()
        else:
            self._idle.append(connection)
        if self._is_closed:
            self._close_idle()
        self._free_place()

    def hold(self, when_empty: Callable[[], None]) -> None:
        """Let no snapshot begin; call `when_empty` once those under way have ended."""
        if not self._is_held:
            self._is_held = True
            self._when_empty = when_empty
            self._admit()

    def let_go(self) -> None:
        """Snapshots may begin again."""
        self._is_held = False
        self._when_empty = None
        self._admit()

    def close(self) -> None:
        """Close idle connections now, and the others when their snapshots end."""
        self._is_closed = True
        self._close_idle()
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(_closed())

    @property
    def _is_full(self) -> bool:
        return self._is_held or self._in_use >= SNAPSHOTS_MAX

    def _begin(self, ends_at: float) -> ConnectionSnapshot:
        if self._is_closed:
            raise _closed()
        connection = self._idle.pop() if self._idle else open_reader(self.path, self._vfs)
        # The version is taken before SQLite's snapshot: see `transaction`.
        version = self._version()
        try:
            connection.execute("BEGIN")
        except apsw.Error as error:
            connection.close()
            raise mapped(error, self.path) from None
        snapshot = ConnectionSnapshot(self, connection, version)
        snapshot.expire_in(ends_at - clock.monotonic())
        return snapshot

    async def _wait_for_place(self, ends_at: float) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise Overloaded(f"{WAITING_MAX} transactions wait to read: try again later.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(max(0.0, ends_at - clock.monotonic())):
                await turn
        except TimeoutError:
            self._give_up(turn)
            raise too_old() from None
        except BaseException:
            self._give_up(turn)
            raise

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        """Who waits no more passes on the place that it may have been given."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._free_place()

    def _free_place(self) -> None:
        self._in_use -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and not self._is_full:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_use += 1
                turn.set_result(None)
        if self._is_held and self._in_use == 0 and self._when_empty is not None:
            when_empty, self._when_empty = self._when_empty, None
            when_empty()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _closed() -> StoreClosed:
    return StoreClosed("The store was closed: open it again.")


def _read_chunk(
    connection: apsw.Connection, begin: bytes, end: bytes, limit: int, *, reverse: bool
) -> tuple[list[Pair], bool]:
    """At most `limit` pairs of a range and about `CHUNK_BYTES_MAX`, and whether those are all."""
    text = statements.RANGE_REVERSE if reverse else statements.RANGE
    pairs: list[Pair] = []
    size_bytes = 0
    for key, value in connection.execute(text, (begin, end, limit + 1)):
        if len(pairs) == limit or size_bytes > CHUNK_BYTES_MAX:
            return pairs, False
        pairs.append((key, value))
        size_bytes += len(key) + len(value)
    return pairs, True
