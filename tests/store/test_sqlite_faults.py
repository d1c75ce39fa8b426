"""Full disks, failing syncs, power cuts and kills: acknowledged means there."""

import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from denizen.core import entropy, failpoints
from denizen.core.errors import CommitOutcomeUnknown, StoreError, StoreUnavailable
from denizen.store import Batch, Guard, Outcome, Store
from denizen.store.sqlite import SqliteStore
from denizen.testing.powercut import PowerCut
from tests.store.drivers import everything, get, put

WRITERS = 8
STATES = 100


@pytest.fixture
def cut() -> Iterator[PowerCut]:
    vfs = PowerCut()
    yield vfs
    vfs.close()


async def test_on_a_full_disk_writes_fail_and_come_back(cut: PowerCut, tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"), vfs=cut.name)
    await put(store, (b"a", b"1"))
    cut.is_full = True
    two = [Batch((Guard(b"a", b"1"),), ((b"a", b"2"),), clears=(b"x",)), Batch((), ((b"b", b""),))]
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="full"):
            await store.apply(two)
        with pytest.raises(StoreUnavailable, match="full"):
            await put(store, (b"c", b"1"))
        assert await everything(store) == {b"a": b"1"}
    cut.is_full = False
    assert await store.apply(two) == [Outcome.APPLIED] * 2
    await store.close()
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    assert await everything(store) == {b"a": b"2", b"b": b""}
    await store.close()


async def test_after_a_failed_sync_the_outcome_is_unknown(cut: PowerCut, tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"), vfs=cut.name)
    await put(store, (b"a", b"1"))
    batch = Batch((Guard(b"a", b"1"),), ((b"a", b"2"),), marker=(b"a", b"2"))
    cut.syncs_fail = True
    with pytest.raises(CommitOutcomeUnknown):
        await store.apply([batch])
    cut.syncs_fail = False
    assert await store.apply([batch]) == [Outcome.APPLIED]
    assert await get(store, b"a") == b"2"
    await store.close()


async def test_a_checkpoint_that_fails_loses_nothing(cut: PowerCut, tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"), vfs=cut.name)
    rows = [(b"%03d" % n, bytes(50_000)) for n in range(100)]

    def fill_disk(_name: str) -> None:
        cut.is_full = True

    with failpoints.armed("store.before_checkpoint", fill_disk):
        await put(store, *rows)
        assert (await store.stats())["checkpoints_failed"] == 1
    assert await everything(store) == dict(rows)
    cut.is_full = False
    await put(store, *rows)
    assert await everything(store) == dict(rows)
    assert (await store.stats())["checkpoints_failed"] == 1
    await store.close()


@pytest.mark.parametrize("synchronous", [True, False])
async def test_power_cuts_keep_what_was_acknowledged_unless_syncing_is_off(
    cut: PowerCut, tmp_path: Path, synchronous: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "data.db")
    store = await SqliteStore.open(path, vfs=cut.name)
    await store.close()
    store = await SqliteStore.open(path, vfs=cut.name, synchronous=synchronous)
    begun_at = cut.position()
    ledger = await write_much(store, cut)
    ended_at = cut.position()
    await store.close()

    source = entropy.SeededSource(1)
    places = sorted(int(source.uniform(begun_at, ended_at + 1)) for _ in range(STATES))
    expected = lost = unopened = 0
    for place in places:
        acknowledged = [(key, value) for at, key, value in ledger if at <= place]
        expected += len(acknowledged)
        found = await look_at_image(cut, place, source)
        unopened += found is None
        lost += sum((found or {}).get(key) != value for key, value in acknowledged)
    with capsys.disabled():
        print(
            f"\n  {STATES} power cuts, syncing {'on' if synchronous else 'off'}: {expected} "
            f"acknowledged batches looked for, {lost} lost, {unopened} states unreadable",
            end="",
        )
    assert expected > STATES
    assert (lost == 0 and unopened == 0) is synchronous


async def write_much(store: Store, cut: PowerCut) -> list[tuple[int, bytes, bytes]]:
    """Where the record was at each acknowledgement, with a key and the value set then."""
    ledger = []
    source = entropy.SeededSource(2)

    async def writer(number: int) -> None:
        head: bytes | None = None
        for turn in range(60):
            key = b"%d/%d" % (number, turn)
            value = source.token((20, 200, 9_000)[turn % 3])
            new = b"%d" % turn
            batch = Batch(
                (Guard(b"head%d" % number, head),),
                ((b"head%d" % number, new), (key, value)),
                clears=(b"gone%d" % number,) if turn % 5 == 0 else (),
            )
            assert await store.apply([batch]) == [Outcome.APPLIED]
            ledger.append((cut.position(), key, value))
            head = new

    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    return ledger


async def look_at_image(
    cut: PowerCut, place: int, source: entropy.Source
) -> dict[bytes, bytes] | None:
    """What a store finds after a power cut; None if it can't be opened or read."""
    with tempfile.TemporaryDirectory() as directory:
        cut.build_image(place, directory, source)
        try:
            store = await SqliteStore.open(f"{directory}/data.db")
        except StoreError:
            return None
        try:
            return await everything(store)
        except StoreError:
            return None
        finally:
            await store.close()


WRITER_PROCESS = """
import asyncio, sys
from denizen.store import Batch, Guard, Outcome
from denizen.store.sqlite import SqliteStore

async def write(store, number):
    transaction = store.transaction()
    head = await transaction.get(b"head%d" % number)
    transaction.cancel()
    for turn in range(int(head or b"0") + 1, 1_000_000):
        new = b"%d" % turn
        key = b"head%d" % number
        assert await store.apply([Batch((Guard(key, head),), ((key, new),))]) == [Outcome.APPLIED]
        head = new
        print(number, turn, flush=True)

async def main():
    store = await SqliteStore.open(sys.argv[1])
    await asyncio.gather(*(write(store, number) for number in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "data.db")
    acknowledged: dict[int, int] = {}
    kills = 5
    for turn in range(kills):
        lines = 50 + turn * 137
        for number, count in run_and_kill(path, lines):
            acknowledged[number] = count
        store = await SqliteStore.open(path)
        for number, count in acknowledged.items():
            found = int(await get(store, b"head%d" % number) or b"0")
            # One more may have been committed and not told.
            assert count <= found <= count + 1
        await store.close()
    with capsys.disabled():
        print(f"\n  {kills} kills: {sum(acknowledged.values())} acknowledged, 0 lost", end="")


def run_and_kill(path: str, lines: int) -> Iterator[tuple[int, int]]:
    """What a process acknowledges until it is killed, some time after its first `lines`."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER_PROCESS, path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            if not line.endswith("\n"):
                break
            number, turn = line.split()
            yield int(number), int(turn)
            if count == lines:
                process.send_signal(signal.SIGKILL)
