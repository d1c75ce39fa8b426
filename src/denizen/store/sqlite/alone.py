"""Snapshots without connections of their own: for a file system that can't share memory.

The driver uses them when it is opened with a VFS (the power-cut tests). Every read is done by the
writer's thread on the newest data, and is refused as a conflict if what it reads has changed since
the snapshot's version: so what is read is exact, at the price of conflicts.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import apsw

from denizen.core.errors import StoreConflict
from denizen.store.buffer import Pair
from denizen.store.group import too_old
from denizen.store.recent import RecentWrites
from denizen.store.sqlite import statements
from denizen.store.sqlite.snapshots import read_chunk

OnWriter = Callable[[Callable[[], Any]], Awaitable[Any]]


class AloneSnapshot:
    """See `transaction.Snapshot`. `on_writer` runs a function on the writer's thread."""

    def __init__(
        self,
        connection: apsw.Connection,
        recent: RecentWrites,
        version: int,
        on_writer: OnWriter,
    ) -> None:
        self.version = version
        self._connection = connection
        self._recent = recent
        self._on_writer = on_writer

    async def get(self, key: bytes) -> bytes | None:
        value: bytes | None = await self._on_writer(lambda: self._get(key))
        return value

    async def get_chunk(
        self, begin: bytes, end: bytes, limit: int, *, reverse: bool
    ) -> tuple[list[Pair], bool]:
        chunk: tuple[list[Pair], bool] = await self._on_writer(
            lambda: self._get_chunk(begin, end, limit, reverse)
        )
        return chunk

    def close(self) -> None:
        """Nothing is held."""

    def _get(self, key: bytes) -> bytes | None:
        self._check(self._recent.was_written(key, self.version))
        value: bytes | None = self._connection.execute(statements.GET, (key,)).get
        return value

    def _get_chunk(
        self, begin: bytes, end: bytes, limit: int, reverse: bool
    ) -> tuple[list[Pair], bool]:
        self._check(self._recent.was_range_written(begin, end, self.version))
        return read_chunk(self._connection, begin, end, limit, reverse=reverse)

    def _check(self, has_changed: bool) -> None:
        if self.version < self._recent.floor:
            raise too_old()
        if has_changed:
            raise StoreConflict("A key was written since this transaction began: run it again.")
