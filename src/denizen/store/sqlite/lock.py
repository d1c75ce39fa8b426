"""One process a database file: a lock file beside it that names the owner.

The kernel frees the lock when its process ends, however it ends. The file itself stays: to remove
it would let two processes lock two files of one name.
"""

import fcntl
import os

from denizen.core.errors import StoreInUse, StoreUnavailable


class FileLock:
    """Held from `acquire` until `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, path: str) -> "FileLock":
        """Lock the database file `path`. Raises `StoreInUse` or `StoreUnavailable`."""
        try:
            descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"{path}.lock can't be written ({os.strerror(error.errno or 0)}): "
                "check that its directory may be written."
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreInUse(
                f"{path} is in use by process {owner or 'unknown'}: stop that process, "
                "or choose another data directory.",
                metadata={"pid": int(owner)} if owner.isdigit() else None,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Harmless when it was released before."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
