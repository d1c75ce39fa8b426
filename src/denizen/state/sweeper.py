"""Clears the rows of destroyed actors in slices, so that a large one stops nobody else.

Destroying is one commit: a tombstone and a trash row. This loop finds trash rows and clears what their actors
owned, a slice a transaction, the trash row last. What a crash leaves undone is found at the next start.
"""

import asyncio

from denizen.core.errors import StoreError
from denizen.state import layout
from denizen.store.contract import Store, Transaction
from denizen.telemetry import logs

_SLICE_ROWS = 256
_RETRY_S = 1.0
_log = logs.get("state")


class Sweeper:
    """One task that sleeps until something was destroyed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = asyncio.Event()
        self._wake.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._task = asyncio.get_running_loop().create_task(self._sweep_loop())

    def nudge(self) -> None:
        """Something was destroyed."""
        self._wake.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _sweep_loop(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while await self._sweep_one():
                    pass
            except StoreError as error:
                _log.warning("destroyed actors can't be cleared yet", reason=error.message)
                self._wake.set()
                await asyncio.sleep(_RETRY_S)

    async def _sweep_one(self) -> bool:
        """Clear one slice; whether there may be more."""
        return await self._store.transact(_clear_slice)


async def _clear_slice(transaction: Transaction) -> bool:
    begin, end = layout.trash_range()
    async for key, _ in transaction.get_range(begin, end, limit=1, snapshot=True):
        namespace, actor_id = layout.trash_of(key)
        prefix = layout.actor_prefix(namespace, actor_id)
        head = layout.head_key(prefix)
        first, last = layout.actor_range(namespace, actor_id)
        rows = [
            row
            async for row, _ in transaction.get_range(first, last, limit=_SLICE_ROWS, snapshot=True)
            if row != head
        ]
        if rows:
            # All but the head: the old id must go on answering that it was destroyed.
            for row in rows:
                transaction.clear(row)
        else:
            transaction.clear(key)
        return True
    return False
