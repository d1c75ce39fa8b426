"""A disk that can lose power: an SQLite VFS that records what was written, and when it was synced.

Every write, truncation, sync, creation and deletion is done on the real files and put in a record.
From the record, `PowerCut.build_image` makes what a disk may hold after a cut at any place in it:

- what a file held at its last sync is there;
- of what was written to it since, each write is there, is missing, or is torn;
- a file that was created or deleted since its directory was last synced may be there or not.

A sync that fails leaves what was written before it in doubt for good: a later one that succeeds says
nothing about it, as on Linux, which gives up such pages. So the worst is assumed: it is lost then.

A directory is synced by a deletion that asks for it and by the first sync of a new log or journal,
as SQLite's own VFS for Unix does. The shared memory file isn't recorded: it is made anew.

The same VFS can also be told that the disk is full, or that writes or syncs fail: all, or one.
"""

import os
from typing import NamedTuple

import apsw

from denizen.core import entropy

_WITH_DIRECTORY_SYNC = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class _Event(NamedTuple):
    """One thing that happened to a file. `data` is written at `offset`; None truncates to it."""

    kind: str
    path: str
    offset: int = 0
    data: bytes | None = None


class PowerCut:
    """A registered VFS with its record; the names of its files must differ (images are flat).

    Open a store with `vfs=cut.name`; note `cut.position()` at each acknowledgement; afterwards
    build images at places not before that and see that what was acknowledged is there.
    """

    def __init__(self, name: str = "powercut") -> None:
        self.name = name
        self.is_full = False
        """While True, writes fail as on a full disk."""
        self.writes_fail = False
        """While True, writes fail with an I/O error."""
        self.syncs_fail = False
        """While True, syncs fail."""
        self.writes_until_failure = 0
        """n: the n-th write from now fails, and no other; 0 means none."""
        self.syncs_until_failure = 0
        """n: the n-th sync from now fails, and no other; 0 means none."""
        self.record: list[_Event] = []
        self._vfs = _Vfs(name, self)
        self._disk = _Disk()
        self._disk_position = 0

    def position(self) -> int:
        """How long the record is now."""
        return len(self.record)

    def check_write(self) -> None:
        """What a write does first: raises if it is to fail."""
        if self.is_full:
            raise apsw.FullError("The disk is full.")
        self.writes_until_failure -= 1
        if self.writes_fail or self.writes_until_failure == 0:
            raise _io_error("The disk can't be written.", apsw.SQLITE_IOERR_WRITE)

    def check_sync(self, path: str) -> None:
        """What a sync does first: raises if it is to fail."""
        self.syncs_until_failure -= 1
        if self.syncs_fail or self.syncs_until_failure == 0:
            self.record.append(_Event("failed sync", path))
            raise _io_error("The disk can't be synced.", apsw.SQLITE_IOERR_FSYNC)

    def build_image(self, at: int, directory: str, source: entropy.Source) -> None:
        """Write into `directory` what the disk may hold if power fails at a place in the record."""
        if at < self._disk_position:
            self._disk, self._disk_position = _Disk(), 0
        for event in self.record[self._disk_position : at]:
            self._disk.follow(event)
        self._disk_position = at
        for path, content in self._disk.after_cut(source).items():
            with open(os.path.join(directory, os.path.basename(path)), "wb") as file:
                file.write(content)

    def close(self) -> None:
        """Unregister the VFS; files that are open stay usable."""
        self._vfs.unregister()


class _File:
    """What is surely on the disk, and what was written since: the first `doubtful` before a sync
    that failed."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.unsynced: list[_Event] = []
        self.doubtful = 0

    def sync(self) -> None:
        for event in self.unsynced[self.doubtful :]:
            _change(self.synced, event)
        self.unsynced.clear()
        self.doubtful = 0

    def fail_sync(self) -> None:
        self.doubtful = len(self.unsynced)

    def after_cut(self, source: entropy.Source) -> bytes:
        content = bytearray(self.synced)
        for event in self.unsynced:
            fate = source.uniform(0, 1)
            if fate < 0.4:
                continue
            if fate < 0.6 and event.data is not None:
                event = event._replace(data=event.data[: int(source.uniform(0, len(event.data)))])
            _change(content, event)
        return bytes(content)


class _Disk:
    """Files by name, as far as the record was followed."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self._name_changes: list[tuple[str, _File | None]] = []

    def follow(self, event: _Event) -> None:
        path = event.path
        match event.kind:
            case "create":
                self._name(path, _File())
            case "change":
                self._files[path].unsynced.append(event)
            case "sync":
                self._files[path].sync()
            case "failed sync":
                self._files[path].fail_sync()
            case "delete":
                self._name(path, None)
            case "sync directory":
                for name, file in self._name_changes:
                    _put(self._synced_names, name, file)
                self._name_changes.clear()

    def after_cut(self, source: entropy.Source) -> dict[str, bytes]:
        names = dict(self._synced_names)
        for path, file in self._name_changes:
            if source.uniform(0, 1) < 0.5:
                _put(names, path, file)
        return {path: file.after_cut(source) for path, file in names.items()}

    def _name(self, path: str, file: _File | None) -> None:
        _put(self._files, path, file)
        self._name_changes.append((path, file))


class _Vfs(apsw.VFS):
    """Hands out recording files over the operating system's VFS."""

    def __init__(self, name: str, cut: PowerCut) -> None:
        self._cut = cut
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:
            return apsw.VFSFile("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new = not os.path.exists(path)
        file = _RecordedFile(self._cut, path, name, flags, is_new=is_new)
        if is_new:
            self._cut.record.append(_Event("create", path))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._cut.record.append(_Event("delete", filename))
        if syncdir:
            self._cut.record.append(_Event("sync directory", filename))


class _RecordedFile(apsw.VFSFile):
    def __init__(
        self,
        cut: PowerCut,
        path: str,
        name: str | apsw.URIFilename,
        flags: list[int],
        *,
        is_new: bool,
    ) -> None:
        self._cut = cut
        self._path = path
        self._syncs_directory = is_new and bool(flags[0] & _WITH_DIRECTORY_SYNC)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._cut.check_write()
        super().xWrite(data, offset)
        self._cut.record.append(_Event("change", self._path, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._cut.record.append(_Event("change", self._path, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._cut.check_sync(self._path)
        super().xSync(flags)
        self._cut.record.append(_Event("sync", self._path))
        if self._syncs_directory:
            self._syncs_directory = False
            self._cut.record.append(_Event("sync directory", self._path))


def _io_error(text: str, code: int) -> apsw.IOError:
    error = apsw.IOError(text)
    error.extendedresult = code  # type: ignore[attr-defined]
    return error


def _change(content: bytearray, event: _Event) -> None:
    """Write or truncate; a gap before the place of a write reads as zeros."""
    if event.data is None:
        del content[event.offset :]
        return
    if len(content) < event.offset:
        content.extend(bytes(event.offset - len(content)))
    content[event.offset : event.offset + len(event.data)] = event.data


def _put(names: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file
