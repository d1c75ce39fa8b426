"""The SQLite driver's files: who may open them, what is recognised, what a URL may say."""

import os
import signal
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from denizen.core.errors import (
    InvalidStoreUrl,
    StoreFormatUnknown,
    StoreInUse,
    StoreUnavailable,
)
from denizen.store import open_store
from denizen.store.sqlite import SqliteStore, files
from tests.store.drivers import everything, put


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data.db",
        "/data.db",
        "mysql://x/y",
        "memory",
        "memory://",
        "memory:x",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://data.db",
        "sqlite:data.db",
        "sqlite:///a.db?mode=ro",
        "sqlite:///a.db#x",
        "sqlite:///a\x00b",
    ],
)
async def test_a_url_that_cannot_be_read_says_what_can(url: str) -> None:
    with pytest.raises(InvalidStoreUrl, match=r"sqlite:///ABSOLUTE/PATH.* memory:"):
        await open_store(url)


async def test_a_relative_url_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///./some/where/data.db")
    await put(store, (b"a", b"1"))
    await store.close()
    assert (tmp_path / "some/where/data.db").exists()


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/with space é.db"
    versions = []
    for turn in range(3):
        store = await open_store(url)
        assert len(await everything(store)) == turn
        transaction = store.transaction()
        transaction.set(b"%d" % turn, b"")
        versions.append(await transaction.commit())
        await store.close()
    assert versions == sorted(set(versions))
    assert sorted(os.listdir(tmp_path)) == ["with space é.db", "with space é.db.lock"]


async def test_a_second_opener_in_the_process_is_refused(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "data.db")
    for path in (tmp_path / "data.db", link):
        with pytest.raises(StoreInUse, match=rf"process {os.getpid()}"):
            await SqliteStore.open(str(path))
    await put(store, (b"a", b"1"))
    await store.close()
    store = await SqliteStore.open(str(tmp_path / "data.db"))
    await store.close()


HOLDER = """
import asyncio, sys
from denizen.store.sqlite import SqliteStore

async def hold():
    store = await SqliteStore.open(sys.argv[1])
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_another_process_is_named_and_its_death_frees_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "data.db")
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else is to run meanwhile
        [sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreInUse, match=rf"data\.db .*process {holder.pid}:") as raised:
            await SqliteStore.open(path)
        assert raised.value.metadata == {"pid": holder.pid}
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    store = await SqliteStore.open(path)
    await store.close()


def digest(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()


async def refuse(path: Path, match: str) -> None:
    before = digest(path)
    with pytest.raises(StoreFormatUnknown, match=match):
        await SqliteStore.open(str(path))
    assert digest(path) == before


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    path.write_bytes(b"This is a text about something else. " * 200)
    await refuse(path, "damaged or isn't a database")


async def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (x)")
    other.commit()
    other.close()
    await refuse(path, "another program")


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (f"PRAGMA user_version = {files.FORMAT_VERSION + 1}", "newer Denizen"),
        ("PRAGMA user_version = 0", "no known format"),
        ("CREATE TABLE more (x)", "no known format"),
    ],
)
async def test_an_unknown_format_is_refused(tmp_path: Path, statement: str, match: str) -> None:
    path = tmp_path / "data.db"
    store = await SqliteStore.open(str(path))
    await put(store, (b"a", b"1"))
    await store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(statement)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    await refuse(path, match)


async def test_a_damaged_page_is_told_and_not_read_past(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    store = await SqliteStore.open(str(path))
    await put(store, *((b"%04d" % n, bytes(500)) for n in range(500)))
    await store.close()
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // files.PAGE_BYTES):
            file.seek(page * files.PAGE_BYTES)
            file.write(b"\x99" * 200)
    with pytest.raises(StoreFormatUnknown, match="damaged"):
        store = await SqliteStore.open(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(StoreUnavailable, match="may be written"):
        await SqliteStore.open(str(tmp_path / "data.db"))


async def test_a_directory_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.db").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        await SqliteStore.open(str(tmp_path / "data.db"))
    with pytest.raises(StoreUnavailable, match="directory"):
        await SqliteStore.open(str(tmp_path / "file" / "below" / "data.db"))
