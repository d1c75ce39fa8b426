"""Readers beside the writer: the log stays bounded, snapshots end, a silent disk is told."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from denizen.core import failpoints
from denizen.core.errors import CommitOutcomeUnknown, StoreClosed, TransactionTooOld
from denizen.store import Batch, Outcome, Transaction
from denizen.store.sqlite import SqliteStore, driver, files, snapshots, writer
from tests.store.drivers import everything, get, movable_clock, put, reading

MIB = 1024 * 1024


def log_bytes(directory: Path) -> int:
    log = directory / "data.db-wal"
    return log.stat().st_size if log.exists() else 0


async def read_for_ever(transaction: Transaction, key: bytes) -> None:
    while True:
        await transaction.get(key)
        await asyncio.sleep(0.001)


async def test_the_log_stays_bounded_while_readers_follow_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "WAL_PAGES_MAX", 2_048)  # 8 MiB
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    has_ended = False
    reads = 0

    async def reader() -> None:
        nonlocal reads
        while not has_ended:
            transaction = store.transaction()
            await transaction.get(b"a")
            await asyncio.sleep(0.003)
            transaction.cancel()
            reads += 1

    readers = [asyncio.ensure_future(reader()) for _ in range(4)]
    longest = 0
    for turn in range(100):
        rows = tuple((b"%d/%d" % (turn % 7, n), os.urandom(50_000)) for n in range(10))
        assert await store.apply([Batch((), rows)]) == [Outcome.APPLIED]
        longest = max(longest, log_bytes(tmp_path))
    has_ended = True
    await asyncio.gather(*readers)
    await store.close()
    assert reads > 20
    assert 8 * MIB < longest < 20 * MIB, f"50 MB were written; the log grew to {longest} B"


async def test_a_forgotten_transaction_lets_go_of_its_snapshot(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    await put(store, (b"a", b"1"))
    with movable_clock() as time:
        forgotten = store.transaction()
        time.by_s = 3.95
        assert await forgotten.get(b"a") == b"1"
        time.by_s = 0
        with pytest.raises(TransactionTooOld):
            await read_for_ever(forgotten, b"a")
    forgotten.cancel()
    await store.close()


async def test_more_transactions_than_snapshots_take_turns(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    await put(store, (b"a", b"1"))
    inside = most = 0

    async def reader() -> None:
        nonlocal inside, most
        async with reading(store) as transaction:
            await transaction.get(b"a")
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0.001)
            finally:
                inside -= 1

    given_up = [asyncio.ensure_future(reader()) for _ in range(200)]
    await asyncio.sleep(0)
    for task in given_up[50:100]:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    await asyncio.gather(*(reader() for _ in range(200)))
    assert most == snapshots.SNAPSHOTS_MAX
    waiting = [store.transaction() for _ in range(snapshots.SNAPSHOTS_MAX + 1)]
    for transaction in waiting[:-1]:
        await transaction.get(b"a")
    last = asyncio.ensure_future(waiting[-1].get(b"a"))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreClosed):
        await last
    for transaction in waiting:
        transaction.cancel()


async def test_a_disk_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "STALL_S", 0.05)
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    answers = threading.Event()
    with failpoints.armed("store.before_commit", lambda _: answers.wait(30)):
        with pytest.raises(CommitOutcomeUnknown, match="not answered"):
            await put(store, (b"a", b"1"))
        assert await get(store, b"a") is None, "reads don't wait for the writer"
        answers.set()
    await put(store, (b"b", b"2"))
    assert await everything(store) == {b"a": b"1", b"b": b"2"}
    await store.close()


async def test_commits_under_way_are_made_durable_by_close(tmp_path: Path) -> None:
    path = str(tmp_path / "data.db")
    store = await SqliteStore.open(path)
    under_way = [asyncio.ensure_future(put(store, (b"%d" % n, b""))) for n in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*under_way)
    store = await SqliteStore.open(path)
    assert len(await everything(store)) == 20
    await store.close()


async def test_a_caller_that_gives_up_does_not_stop_the_others(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    tasks = [asyncio.ensure_future(put(store, (b"%d" % n, b""))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, BaseException) for result in ended] == [True, False] * 10
    await put(store, (b"after", b""))
    await store.close()


async def test_the_log_has_its_space_from_the_start_and_is_gone_at_the_end(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    await put(store, (b"a", b"1"))
    assert log_bytes(tmp_path) >= writer.LOG_STEP_PAGES * files.PAGE_BYTES
    for n in range(1_500):
        await put(store, (b"%d" % n, bytes(500)))
    assert log_bytes(tmp_path) >= writer.CHECKPOINT_PAGES * files.PAGE_BYTES
    await store.close()
    assert log_bytes(tmp_path) == 0
