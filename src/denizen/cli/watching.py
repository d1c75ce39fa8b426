"""Tells when Python files of a folder change. The watching is done by a process of its own.

watchfiles keeps a thread, and the supervisor forks: a process with two threads had better not.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from denizen.cli.screen import tell

FOLDERS_MAX = 1_000
_CHECK_MS = 500
_NICENESS = 10
"""Of the watching process: it gets ready while the server does, which is what people wait for."""
_NOT_CODE = frozenset({"__pycache__", "node_modules", "site-packages"})


@contextmanager
def watch(folder: Path) -> Iterator[int]:
    """A descriptor from which a byte can be read after each change, until the block ends.

    It comes to its end if the folder can't be watched; the reason has been printed then.
    """
    before = _modified_at(folder)  # now: nobody has loaded any of it yet
    receiving, sending = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(receiving)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.nice(_NICENESS)
            _report(folder, sending, parent, before)
        except Exception as error:  # the system's limits, a folder that went away, …
            tell(f"The code is no longer watched ({error}): start anew by hand after a change.")
        finally:
            os._exit(0)
    os.close(sending)
    try:
        yield receiving
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(receiving)


def _report(folder: Path, sending: int, parent: int, before: dict[str, int] | None) -> None:
    """Write a byte for each change, as long as the parent lives.

    before: what was modified when, for what changes until the first watch has begun.
    """
    import watchfiles  # by this process alone

    def is_code(change: watchfiles.Change, path: str) -> bool:
        is_new_folder = change is watchfiles.Change.added and os.path.isdir(path)
        return path.endswith(".py") or (is_new_folder and _may_hold_code(path))

    while os.getppid() == parent:
        folders = _folders(folder)
        for changes in watchfiles.watch(
            *folders,
            watch_filter=is_code,
            recursive=False,
            rust_timeout=_CHECK_MS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        ):
            if before is not None:
                has_changed, before = _modified_at(folder) != before, None
                # A folder may have come after they were listed and before they were watched.
                is_outdated = _folders(folder) != folders
            else:
                has_changed = bool(changes)
                is_outdated = has_changed and _folders(folder) != folders
            if is_outdated:
                before = _modified_at(folder)  # until the next watch has begun
            if has_changed:
                os.write(sending, b".")
            if is_outdated or os.getppid() != parent:
                break


def _folders(folder: Path) -> list[str]:
    """The folder and those below it that may hold code, at most `FOLDERS_MAX`."""
    found: list[str] = []
    for path, names, _ in os.walk(folder):
        names[:] = [name for name in names if _may_hold_code(os.path.join(path, name))]
        found.append(path)
        if len(found) == FOLDERS_MAX:
            break
    return found


def _may_hold_code(path: str) -> bool:
    name = os.path.basename(path)
    is_environment = os.path.exists(os.path.join(path, "pyvenv.cfg"))
    return not (name.startswith(".") or name in _NOT_CODE or is_environment)


def _modified_at(folder: Path) -> dict[str, int]:
    """When each Python file was changed last, in nanoseconds. What can't be read is left out."""
    found = {}
    for path in _folders(folder):
        with suppress(OSError), os.scandir(path) as entries:
            for entry in entries:
                if entry.name.endswith(".py") and entry.is_file():
                    found[entry.path] = entry.stat().st_mtime_ns
    return found
