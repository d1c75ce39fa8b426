"""SQLite's exceptions in our words: the one place where they are mapped."""

import apsw

from denizen.core.errors import (
    CommitOutcomeUnknown,
    StoreError,
    StoreFormatUnknown,
    StoreUnavailable,
)

_SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def mapped(error: apsw.Error, path: str) -> StoreError:
    """What the rooms above are told.

    A write that failed was rolled back. After a failed *sync* the same holds while this process
    lives; but the bytes may have reached the disk, so for others the outcome is unknown.
    """
    code: int = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
    name = apsw.mapping_extended_result_codes.get(code, type(error).__name__)
    if isinstance(error, apsw.FullError):
        return StoreUnavailable(
            f"The disk of {path} is full: free space. Service comes back by itself."
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreFormatUnknown(
            f"{path} is damaged or isn't a database ({name}): restore it from a backup, "
            "or move the file away to begin anew."
        )
    if code in _SYNC_FAILED:
        return CommitOutcomeUnknown(
            f"The disk of {path} could not confirm a write ({name}): check the disk."
        )
    if isinstance(error, apsw.CantOpenError | apsw.PermissionsError | apsw.ReadOnlyError):
        return StoreUnavailable(
            f"{path} can't be opened for writing ({name}): check that its directory exists and "
            "that this user may write there."
        )
    return StoreUnavailable(f"{path} can't be read or written ({name}): check the disk.")
