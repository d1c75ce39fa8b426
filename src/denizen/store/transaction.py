"""A transaction over a snapshot: reads with conflicts, writes in a buffer, one commit request.

Driver-independent. A driver gives an `Engine`: snapshots to read from and a `commit` that judges.
The version of a snapshot may be lower than what it shows, never higher: that can only make a
transaction conflict where it need not have, and never hides a conflict.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from denizen.core import clock
from denizen.core.errors import StoreClosed
from denizen.store.buffer import Overlay, Pair, WriteBuffer, add_to
from denizen.store.checks import check_key, check_range, check_value
from denizen.store.group import CommitRequest, check_age

CHUNK_FIRST = 64
CHUNK_MAX = 512


class Snapshot(Protocol):
    """The store as of one version, for one transaction."""

    version: int

    async def get(self, key: bytes) -> bytes | None: ...

    async def get_chunk(
        self, begin: bytes, end: bytes, limit: int, *, reverse: bool
    ) -> tuple[list[Pair], bool]:
        """At most `limit` pairs from the range's begin (or end), and whether those are all."""
        ...

    def close(self) -> None: ...


class Engine(Protocol):
    """What a driver does for a transaction."""

    @property
    def version(self) -> int:
        """The version up to which everything can be read."""
        ...

    async def snapshot(self, started_at: float) -> Snapshot:
        """A snapshot for a transaction that began at `started_at` (`clock.monotonic`)."""
        ...

    async def commit(self, request: CommitRequest) -> bytes: ...


class BufferedTransaction:
    """See `contract.Transaction`."""

    def __init__(self, engine: Engine) -> None:
        self.buffer = WriteBuffer()
        self._engine = engine
        self._started_at = clock.monotonic()
        self._snapshot: Snapshot | None = None
        self._read_version: int | None = None
        self._read_keys: set[bytes] = set()
        self._read_ranges: list[Pair] = []
        self._conflict_keys: set[bytes] = set()
        self._has_ended = False

    async def get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        check_key(key)
        return await self.get_any(key, snapshot=snapshot)

    async def get_any(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """`get` that may also read the store's own keys."""
        self._check_open()
        is_known, value = self.buffer.look_up(key)
        if is_known:
            return value
        base = await self._reader()
        stored = await base.get(key)
        if not snapshot:
            self._read_keys.add(key)
        amount = self.buffer.adds.get(key)
        return stored if amount is None else add_to(stored, amount)

    def get_range(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int = 0,
        reverse: bool = False,
        snapshot: bool = False,
    ) -> AsyncIterator[Pair]:
        self._check_open()
        check_range(begin, end)
        overlay = self.buffer.overlay(begin, end, reverse=reverse)
        return self._stream(begin, end, limit, overlay, reverse=reverse, snapshot=snapshot)

    async def _stream(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        overlay: Overlay,
        *,
        reverse: bool,
        snapshot: bool,
    ) -> AsyncIterator[Pair]:
        chunk_size = limit or CHUNK_FIRST
        given = 0
        is_last = begin >= end
        while not is_last:
            self._check_open()
            base = await self._reader()
            chunk_size = min(chunk_size, CHUNK_MAX)
            pairs, is_last = await base.get_chunk(begin, end, chunk_size, reverse=reverse)
            read_begin, read_end = begin, end
            if not is_last and reverse:
                read_begin = end = pairs[-1][0]
            elif not is_last:
                read_end = begin = pairs[-1][0] + b"\x00"
            if not snapshot:
                self._read_ranges.append((read_begin, read_end))
            for pair in overlay.merge(pairs, is_last=is_last):
                yield pair
                self._check_open()
                given += 1
                if given == limit:
                    return
            chunk_size *= 4

    def set(self, key: bytes, value: bytes) -> None:
        self._check_open()
        check_key(key)
        check_value(value)
        self.buffer.set(key, value)

    def clear(self, key: bytes) -> None:
        self._check_open()
        check_key(key)
        self.buffer.clear(key)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        self._check_open()
        check_range(begin, end)
        if begin < end:
            self.buffer.clear_range(begin, end)

    def add(self, key: bytes, amount: int) -> None:
        self._check_open()
        check_key(key)
        self.buffer.add(key, amount)

    def set_versionstamped_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        self._check_open()
        check_key(prefix + bytes(10) + suffix)
        check_value(value)
        self.buffer.stamp(prefix, suffix, value)

    def add_read_conflict_key(self, key: bytes) -> None:
        check_key(key)
        self.add_any_read_conflict_key(key)

    def add_any_read_conflict_key(self, key: bytes) -> None:
        """`add_read_conflict_key` that may also name one of the store's own keys."""
        self._check_open()
        self.buffer.charge(len(key))
        if self._read_version is None:
            self._read_version = self._engine.version
        self._read_keys.add(key)

    def add_write_conflict_key(self, key: bytes) -> None:
        self._check_open()
        check_key(key)
        self.buffer.charge(len(key))
        self._conflict_keys.add(key)

    async def commit(self) -> bytes | None:
        self._check_open()
        self._end()
        if self.buffer.is_empty and not self._conflict_keys:
            return None
        request = CommitRequest(
            self._started_at,
            self._read_version,
            self._read_keys,
            self._read_ranges,
            self._conflict_keys,
            self.buffer,
        )
        version = await self._engine.commit(request)
        return None if self.buffer.is_empty else version

    def cancel(self) -> None:
        if not self._has_ended:
            self._end()

    async def _reader(self) -> Snapshot:
        check_age(self._started_at)
        if self._snapshot is None:
            opened = await self._engine.snapshot(self._started_at)
            if self._has_ended:
                opened.close()
                self._check_open()
            self._snapshot = opened
            if self._read_version is None:
                self._read_version = opened.version
        return self._snapshot

    def _end(self) -> None:
        self._has_ended = True
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def _check_open(self) -> None:
        if self._has_ended:
            raise StoreClosed("This transaction has ended: begin another.")
