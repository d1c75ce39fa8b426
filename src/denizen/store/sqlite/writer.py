"""The one thread that writes. It takes what has come, judges it, and makes it durable at once.

While one group is being synced the next one gathers in the queue: that is the group commit. A
group that only sets keys is one statement, which is its own transaction: one call into SQLite.
Results go back to the event loop once a group. The interpreter's lock is the reason for both: each
call into SQLite gives it up, and beside a busy thread getting it back can take a switch interval.

Everything here runs on the writer's thread, unless it says otherwise.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

import apsw

from denizen.core import clock, failpoints
from denizen.core.errors import DenizenError, InternalError
from denizen.store.group import REQUESTS_MAX, Group
from denizen.store.recent import RecentWrites
from denizen.store.sqlite import statements
from denizen.store.sqlite.faults import mapped
from denizen.store.sqlite.files import VERSION_KEY, extend_log
from denizen.store.sqlite.heads import Heads

GROUP_JOBS_MAX = 1_024
GROUP_BYTES_MAX = 4 * 1024 * 1024
CHECKPOINT_PAGES = 1_000
LOG_PAGES = 1_280
LOG_STEP_PAGES = 128
"""The log's file is made longer ahead of need, by steps of half a MiB that take about 3 ms, up to a
checkpoint's worth and one large group."""

SWITCH_INTERVAL_S = 0.0001
"""Recommended for `sys.setswitchinterval` in a process with this store.

Beside a thread that computes in Python, the writer waits for the interpreter's lock up to three
times a commit. Measured beside such a thread: a lone commit takes 5.7 ms at the default of 5 ms,
0.6 ms at 0.1 ms; shorter gains nothing.
"""

_VERSIONS_RESERVED = 1 << 20

assert GROUP_JOBS_MAX < REQUESTS_MAX


class Job:
    """Work for the thread: `run` gives the result, for which the loop waits in `answer`."""

    __slots__ = ("answer", "result", "run", "sent_at", "size_bytes")

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run = run
        self.result: Any = None
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.sent_at = clock.monotonic()
        self.size_bytes = 0


class Stop(Job):
    """The last one: the thread ends after it."""

    __slots__ = ()


class Write(Job):
    """A commit or batches, judged in a group. `guarded` are keys whose values that will ask for."""

    __slots__ = ("guarded", "judge")

    def __init__(
        self, judge: Callable[[Group], Any], guarded: Iterable[bytes], size_bytes: int
    ) -> None:
        super().__init__(_nothing)
        self.judge = judge
        self.guarded = guarded
        self.size_bytes = size_bytes


Report = Callable[[list[Job], Group | None], None]


class Writer:
    """Owns the writing connection. `report` is called on the thread, after each group."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        version: int,
        report: Report,
        *,
        extends_log: bool,
    ) -> None:
        self._connection = connection
        self._path = path
        self._report = report
        self._extends_log = extends_log
        self._log_pages = 0
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._heads = Heads(connection)
        self.version = self._version_given = version
        """All groups up to this version are durable and can be read (any thread may look)."""
        self._version_reserved = self.version
        self.recent = RecentWrites(self.version)
        self.wal_pages = 0
        """Pages in the log at the last commit (any thread may look)."""
        self.checkpoints_failed = 0
        self._checkpoint_at = CHECKPOINT_PAGES
        connection.set_wal_hook(self._note_pages)
        self._thread = threading.Thread(target=self._run, name="denizen-store", daemon=True)
        self._thread.start()

    def send(self, job: Job) -> None:
        """Queue work (from any thread)."""
        self._jobs.put(job)

    def close_connection(self) -> None:
        """What a `Stop` runs: the log is copied into the database, and its file goes."""
        self._connection.close()

    def has_ended(self, timeout_s: float) -> bool:
        """Whether the thread has ended, or does so in time, after a `Stop` (on the loop)."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def checkpoint(self) -> None:
        """Copy the log into the database; the next write begins the log anew if no reader needs it.

        A failure loses nothing and is tried again when more was written.
        """
        failpoints.hit("store.before_checkpoint")
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            self.checkpoints_failed += 1
        self._checkpoint_at = self.wal_pages + CHECKPOINT_PAGES

    def _run(self) -> None:
        stop: Job | None = None
        self._make_log_ready()
        while stop is None:
            jobs, writes, stop = self._take()
            for job in jobs:
                job.result = self._attempt(job.run)
            group = self._commit(writes) if writes else None
            done = [*jobs, *writes]
            if stop is not None:
                stop.result = self._attempt(stop.run)
                done.append(stop)
            self._report(done, group)
            if stop is None:
                # While the loop wakes up.
                if group is not None:
                    self._follow(group)
                self._make_log_ready()

    def _make_log_ready(self) -> None:
        """Between groups: copy a log that is long into the database, give a short one its space."""
        if self.wal_pages >= self._checkpoint_at:
            self.checkpoint()
        if self.wal_pages + LOG_STEP_PAGES // 2 > self._log_pages and self._extends_log:
            self._log_pages += LOG_STEP_PAGES
            self._extends_log = self._log_pages < LOG_PAGES
            extend_log(self._path, self._log_pages)

    def _take(self) -> tuple[list[Job], list[Write], Stop | None]:
        """What has come, at least one and at most a group."""
        jobs: list[Job] = []
        writes: list[Write] = []
        size_bytes = 0
        taken = self._jobs.get()
        while not isinstance(taken, Stop):
            if isinstance(taken, Write):
                writes.append(taken)
                size_bytes += taken.size_bytes
            else:
                jobs.append(taken)
            if size_bytes >= GROUP_BYTES_MAX or len(jobs) + len(writes) >= GROUP_JOBS_MAX:
                return jobs, writes, None
            # Nobody else takes: what is there stays until it is taken here.
            if self._jobs.empty():
                return jobs, writes, None
            taken = self._jobs.get_nowait()
        return jobs, writes, taken

    def _attempt(self, run: Callable[[], Any]) -> Any:
        """What `run` returns, or the error that stands for it."""
        try:
            return run()
        except DenizenError as error:
            return error
        except apsw.Error as error:
            return mapped(error, self._path)
        except Exception as error:
            return InternalError(f"The store met {type(error).__name__}: please report it.")

    def _commit(self, writes: list[Write]) -> Group | None:
        """Judge the writes, make what was accepted durable, and note the results in them."""
        result = self._attempt(lambda: self._flush(writes))
        if isinstance(result, Group):
            return result
        self._heads.forget()
        if self._connection.in_transaction:
            self._attempt(lambda: self._connection.execute("ROLLBACK"))
        for write in writes:
            write.result = result
        return None

    def _flush(self, writes: list[Write]) -> Group:
        self._version_given += 1
        read = self._heads.load(key for write in writes for key in write.guarded)
        group = Group(self._version_given, self.recent, read)
        for write in writes:
            write.result = self._judge(write, group)
        if not group.is_empty:
            self._reserve_versions(group)
            failpoints.hit("store.before_commit")
            self._make_durable(group)
        self.version = group.version
        failpoints.hit("store.after_commit")
        return group

    def _follow(self, group: Group) -> None:
        """Note what a durable group wrote, for those judged after it."""
        self._heads.apply(group.writes)
        group.record()

    def _judge(self, write: Write, group: Group) -> Any:
        """A refusal is this write's own result; a failure to read ends the whole group."""
        try:
            return write.judge(group)
        except DenizenError as error:
            return error

    def _make_durable(self, group: Group) -> None:
        execute = self._connection.execute
        if not group.ranges and not group.has_clears:
            pairs = list(group.writes.items())
            if len(pairs) <= statements.ROWS_MAX:
                for text, values in statements.upserts(pairs):  # type: ignore[arg-type]
                    execute(text, values)
                return
        sets = [(key, value) for key, value in group.writes.items() if value is not None]
        clears = [key for key, value in group.writes.items() if value is None]
        execute("BEGIN IMMEDIATE")
        for bounds in group.ranges:
            for (key,) in execute(statements.CLEAR_RANGE, bounds):
                self._heads.drop(key)
        for part in (statements.deletes(clears), statements.upserts(sets)):
            for text, values in part:
                execute(text, values)
        execute("COMMIT")

    def _reserve_versions(self, group: Group) -> None:
        """Versions that may be used are noted in advance, so that none is used twice."""
        if group.version > self._version_reserved:
            self._version_reserved = group.version + _VERSIONS_RESERVED
            group.writes[VERSION_KEY] = self._version_reserved.to_bytes(8, "big")

    def _note_pages(self, connection: apsw.Connection, name: str, pages: int) -> int:
        if pages < self.wal_pages:
            self._checkpoint_at = CHECKPOINT_PAGES
        self.wal_pages = pages
        return apsw.SQLITE_OK


def _nothing() -> None:
    """A write isn't run by itself."""
