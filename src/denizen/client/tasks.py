"""Tasks with an owner who ends them. Nothing in the client starts one elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskSet:
    """The tasks of one kind of one client."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine that handles its own exceptions."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, timeout_s: float) -> None:
        """Wait for all of them but the one that asks; cancel what is left after the time."""
        tasks = self._tasks - {asyncio.current_task()}
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=timeout_s)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
