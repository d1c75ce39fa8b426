"""How a database file is opened, made, and recognised as ours.

`application_id` says that it is Denizen's, `user_version` which format it has. A file is made in
one transaction with both, so that a cut in the middle leaves an empty file or a whole one.
"""

import os

import apsw

from denizen.core.errors import StoreFormatUnknown, StoreUnavailable
from denizen.store.sqlite import statements
from denizen.store.sqlite.faults import mapped

FORMAT_VERSION = 1
APPLICATION_ID = 0x44_4E_5A_4E  # "DNZN"

VERSION_KEY = b"\xff/version"
"""Holds a version that no group has passed: the next process goes on from it."""

PAGE_BYTES = 4_096
_WAL_FRAME_BYTES = 24
_WRITER_CACHE_KIB = 2_048
_READER_CACHE_KIB = 512
_WAL_BYTES_KEPT = 64 * 1024 * 1024
_BUSY_MS = 100


def make_directory(path: str) -> None:
    """Make the directory of the database file, durably. Raises `StoreUnavailable`."""
    directory = os.path.dirname(path)
    missing = []
    while not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    try:
        for made in reversed(missing):
            os.mkdir(made, 0o700)
            _sync_directory(os.path.dirname(made))
    except OSError as error:
        raise StoreUnavailable(
            f"The directory of {path} can't be made ({os.strerror(error.errno or 0)}): "
            "make it, or choose another place."
        ) from None


def open_writer(path: str, *, vfs: str | None, synchronous: bool) -> tuple[apsw.Connection, int]:
    """The writing connection of a database that is ours, and the version that it has reached.

    Makes the database where there is none.
    Blocks while SQLite takes over what an earlier process left in its log. Raises
    `StoreFormatUnknown` or `StoreUnavailable`.
    """
    try:
        connection = apsw.Connection(path, vfs=vfs)
    except apsw.Error as error:
        raise mapped(error, path) from None
    try:
        _prepare(connection, path, synchronous=synchronous)
        stored: bytes | None = connection.execute(statements.GET, (VERSION_KEY,)).get
    except apsw.Error as error:
        connection.close()
        raise mapped(error, path) from None
    except BaseException:
        connection.close()
        raise
    return connection, int.from_bytes(stored or b"", "big")


def open_reader(path: str, vfs: str | None) -> apsw.Connection:
    """A connection that can only read. Raises `StoreUnavailable`."""
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    except apsw.Error as error:
        raise mapped(error, path) from None
    return connection


def extend_log(path: str, pages: int) -> None:
    """Fill the log's file with zeros up to `pages`, durably, before SQLite writes there.

    A sync of a file that grows must also write where it now ends; on space that is there already it
    takes half the time or less. SQLite takes zeros for the end of its log, and writes over them.
    Only for speed: what fails is left.
    """
    try:
        descriptor = os.open(f"{path}-wal", os.O_WRONLY)
    except OSError:
        return
    try:
        size_bytes = os.fstat(descriptor).st_size
        missing = pages * (PAGE_BYTES + _WAL_FRAME_BYTES) - size_bytes
        if missing > 0:
            os.pwrite(descriptor, bytes(missing), size_bytes)
            os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _prepare(connection: apsw.Connection, path: str, *, synchronous: bool) -> None:
    execute = connection.execute
    connection.set_busy_timeout(_BUSY_MS)
    is_new = _check_format(connection, path)
    execute(f"PRAGMA page_size = {PAGE_BYTES}")
    execute(f"PRAGMA synchronous = {'FULL' if synchronous else 'OFF'}")
    execute("PRAGMA fullfsync = ON")
    if execute("PRAGMA journal_mode = WAL").get != "wal":
        raise StoreUnavailable(
            f"{path} lies on a file system on which SQLite can't keep a write-ahead log: "
            "choose a local disk."
        )
    execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    if is_new:
        execute("BEGIN IMMEDIATE")
        execute(f"PRAGMA application_id = {APPLICATION_ID}")
        execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        execute(statements.CREATE)
        execute("COMMIT")


def _check_format(connection: apsw.Connection, path: str) -> bool:
    """Whether the file is new. Raises `StoreFormatUnknown` if it isn't ours."""
    application_id = connection.pragma("application_id")
    version = connection.pragma("user_version")
    tables = connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
    if not tables and application_id == 0 and version == 0:
        return True
    if application_id != APPLICATION_ID:
        raise StoreFormatUnknown(
            f"{path} is a database of another program: choose another place for the data."
        )
    if version > FORMAT_VERSION:
        raise StoreFormatUnknown(
            f"{path} has format {version}, written by a newer Denizen; this one knows formats up "
            f"to {FORMAT_VERSION}: use that version, or restore a backup."
        )
    if version < 1 or tables != [("kv",)]:
        raise StoreFormatUnknown(
            f"{path} has no known format (it says {version}): restore it from a backup, "
            "or move the file away to begin anew."
        )
    return False


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
