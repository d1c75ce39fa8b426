"""The SQLite store as the rooms above see it: the event loop's side.

It checks, hands work to the writer, and gives answers to those who wait. No SQL is here.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import apsw

from denizen.core import clock
from denizen.core.errors import CommitOutcomeUnknown, DenizenError, Overloaded, StoreClosed
from denizen.store.checks import check_batches, check_key
from denizen.store.contract import Batch, Outcome, Transaction
from denizen.store.group import CommitRequest, Group
from denizen.store.retry import transact
from denizen.store.sqlite import files, statements
from denizen.store.sqlite.lock import FileLock
from denizen.store.sqlite.snapshots import SnapshotPool
from denizen.store.sqlite.writer import Job, Stop, Write, Writer
from denizen.store.transaction import BufferedTransaction, Snapshot
from denizen.store.watches import Watches

T = TypeVar("T")

JOBS_MAX = 10_000
JOBS_BYTES_MAX = 256 * 1024 * 1024
STALL_S = 30.0
"""A disk that hasn't answered for so long is reported as such."""

WAL_PAGES_MAX = 16_384
_CLOSE_S = 1.0


class SqliteStore:
    """See `contract.Store`. Made by `open`."""

    def __init__(
        self,
        path: str,
        lock: FileLock,
        connection: apsw.Connection,
        version: int,
        vfs: str | None,
    ) -> None:
        self._path = path
        self._lock = lock
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._watches = Watches()
        self._pending: dict[Job, None] = {}
        self._pending_bytes = 0
        self._stall_timer: asyncio.TimerHandle | None = None
        self._hold_at = WAL_PAGES_MAX
        self._is_closed = False
        self._writer = Writer(connection, path, version, self._report, extends_log=vfs is None)
        self._snapshots = SnapshotPool(path, vfs, lambda: self._writer.version)

    @classmethod
    async def open(
        cls, path: str, *, vfs: str | None = None, synchronous: bool = True
    ) -> "SqliteStore":
        """Open the database file `path`; make it and its directory if they aren't there.

        `vfs` names an apsw VFS to use instead of the operating system's. `synchronous=False` is for
        tests only: a power cut then loses acknowledged commits.
        Raises `StoreInUse`, `StoreFormatUnknown`, `StoreUnavailable`.
        """
        opened = await asyncio.to_thread(_open_files, path, vfs, synchronous)
        return cls(*opened, vfs)

    # The contract.

    def transaction(self) -> Transaction:
        return self._begin()

    async def transact(
        self, fn: Callable[[Transaction], Awaitable[T]], *, deadline_s: float = 10.0
    ) -> T:
        # A commit that failed is void while this process lives, so no marker is needed.
        return await transact(self._begin, fn, deadline_s=deadline_s, markers=None)

    def apply(self, batches: Sequence[Batch]) -> Awaitable[list[Outcome]]:
        batches = tuple(batches)
        size_bytes = check_batches(batches)
        guarded = [guard.key for batch in batches for guard in batch.guards]
        return self._write(lambda group: group.judge_batches(batches), guarded, size_bytes)

    def watch(self, key: bytes) -> Awaitable[None]:
        check_key(key)
        self._check_open()
        return self._watches.add(key, self._snapshots.read_now(key))

    async def stats(self) -> dict[str, Any]:
        keys, size_bytes, file_bytes = await self._on_writer(self._measure)
        return {
            "driver": "sqlite",
            "format_version": files.FORMAT_VERSION,
            "keys": keys,
            "bytes": size_bytes,
            "file_bytes": file_bytes,
            "wal_bytes": self._writer.wal_pages * files.PAGE_BYTES,
            "checkpoints_failed": self._writer.checkpoints_failed,
        }

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._snapshots.close()
        self._watches.close()
        stop = Stop(self._writer.close_connection)
        try:
            await self._send(stop)
        finally:
            if self._stall_timer is not None:
                self._stall_timer.cancel()
            # A writer that hangs in the disk still owns the file: then the lock stays too.
            if self._writer.has_ended(_CLOSE_S):
                self._lock.release()

    # The engine of transactions.

    @property
    def version(self) -> int:
        return self._writer.version

    async def snapshot(self, started_at: float) -> Snapshot:
        return await self._snapshots.open(started_at)

    async def commit(self, request: CommitRequest) -> bytes:
        version: bytes = await self._write(
            lambda group: group.judge_commit(request),
            request.buffer.adds,
            request.buffer.size_bytes,
        )
        return version

    # To the writer and back.

    def _begin(self) -> BufferedTransaction:
        self._check_open()
        return BufferedTransaction(self)

    def _write(
        self, judge: Callable[[Group], Any], guarded: Iterable[bytes], size_bytes: int
    ) -> "asyncio.Future[Any]":
        self._check_place()
        return self._send(Write(judge, guarded, size_bytes))

    async def _on_writer(self, run: Callable[[], Any]) -> Any:
        self._check_place()
        return await self._send(Job(run))

    def _send(self, job: Job) -> "asyncio.Future[Any]":
        self._pending[job] = None
        self._pending_bytes += job.size_bytes
        self._writer.send(job)
        if self._stall_timer is None:
            self._stall_timer = self._loop.call_later(STALL_S, self._check_stall)
        return job.answer

    def _report(self, done: list[Job], group: Group | None) -> None:
        """Called on the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._settle, done, group)
        except RuntimeError:
            return  # the loop was closed before the store: nobody waits any more

    def _settle(self, done: list[Job], group: Group | None) -> None:
        for job in done:
            del self._pending[job]
            self._pending_bytes -= job.size_bytes
            if job.answer.done():
                continue
            if isinstance(job.result, DenizenError):
                job.answer.set_exception(job.result)
            else:
                job.answer.set_result(job.result)
        if group is not None:
            self._watches.notice(group.writes, group.ranges)
            if self._writer.wal_pages >= self._hold_at:
                self._shrink_log()

    def _check_stall(self) -> None:
        """Whoever has waited for too long is told that the outcome is unknown."""
        self._stall_timer = None
        now = clock.monotonic()
        for job in self._pending:
            if now - job.sent_at >= STALL_S and not job.answer.done():
                job.answer.set_exception(
                    CommitOutcomeUnknown(
                        f"The disk of {self._path} has not answered for {STALL_S:g} s: check it."
                    )
                )
        if self._pending:
            self._stall_timer = self._loop.call_later(STALL_S, self._check_stall)

    def _shrink_log(self) -> None:
        """The log has grown long because readers followed one another: keep new ones waiting."""
        self._hold_at = self._writer.wal_pages + WAL_PAGES_MAX
        self._snapshots.hold(self._checkpoint_without_readers)

    def _checkpoint_without_readers(self) -> None:
        job = Job(self._writer.checkpoint)
        job.answer.add_done_callback(self._after_checkpoint)
        self._pending[job] = None
        self._writer.send(job)

    def _after_checkpoint(self, _answer: "asyncio.Future[Any]") -> None:
        self._hold_at = WAL_PAGES_MAX
        self._snapshots.let_go()

    def _measure(self) -> tuple[int, int, int]:
        keys, size_bytes = self._connection.execute(statements.SIZES).get
        return keys, size_bytes, os.path.getsize(self._path)

    def _check_place(self) -> None:
        self._check_open()
        if len(self._pending) >= JOBS_MAX or self._pending_bytes >= JOBS_BYTES_MAX:
            raise Overloaded("Too many commits wait for the disk: try again later.")

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosed("The store was closed: open it again.")


def _open_files(
    path: str, vfs: str | None, synchronous: bool
) -> tuple[str, FileLock, apsw.Connection, int]:
    """The real path, its lock, the writing connection, the version reached. Blocks."""
    path = os.path.realpath(path)
    files.make_directory(path)
    lock = FileLock.acquire(path)
    try:
        connection, version = files.open_writer(path, vfs=vfs, synchronous=synchronous)
        return path, lock, connection, version
    except BaseException:
        lock.release()
        raise
