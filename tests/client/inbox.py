"""A handler that keeps what it gets, and can be waited for."""

import asyncio
from typing import Any


class Inbox:
    """Call it as a handler; `items` has the first argument of each event (None without one)."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._came = asyncio.Condition()

    def __call__(self, item: Any = None, *_: Any) -> None:
        self.items.append(item)
        asyncio.get_running_loop().create_task(self._tell())

    async def has(self, count: int) -> list[Any]:
        """Wait until there are `count` items."""
        async with self._came, asyncio.timeout(10):
            await self._came.wait_for(lambda: len(self.items) >= count)
        return self.items

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()
