"""The store: an ordered key-value map with serializable transactions, chosen by URL.

Rooms above see `contract` and `open_store`. Drivers live here, and what they share: the checks,
the write buffer, the judging of groups, the retry. Nothing here knows what the rows mean.
"""

import re

from denizen.core.errors import InvalidStoreUrl
from denizen.store.contract import Batch, Guard, Outcome, Store, Transaction

__all__ = ["Batch", "Guard", "Outcome", "Store", "Transaction", "open_store"]

_ACCEPTED = "Write sqlite:///ABSOLUTE/PATH, sqlite:///./RELATIVE/PATH or memory:."
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


async def open_store(url: str) -> Store:
    """Open the store that `url` names, and make it if it isn't there.

    `sqlite:///abs/path` and `sqlite:///./relative/path` name a database file (the path is taken as
    it stands: nothing in it is decoded); `memory:` is empty and is gone with the process. Raises
    `InvalidStoreUrl`, `StoreInUse`, `StoreFormatUnknown`, `StoreUnavailable`.
    """
    if url == "memory:":
        from denizen.store.memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:"):
        from denizen.store.sqlite import SqliteStore

        return await SqliteStore.open(_sqlite_path(url))
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise InvalidStoreUrl(f"A store's URL begins with its kind. {_ACCEPTED}")
    raise InvalidStoreUrl(f"There is no store of the kind {scheme[1]!r}. {_ACCEPTED}")


def _sqlite_path(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url or not path or "?" in path or "#" in path or "\x00" in path:
        raise InvalidStoreUrl(f"That isn't the URL of a database file. {_ACCEPTED}")
    return path if path.startswith(("./", "../")) else f"/{path}"
