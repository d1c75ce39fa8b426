"""Who waits for which key to change. Lives on the event loop's thread; does no I/O."""

import asyncio
from collections.abc import Mapping, Sequence

from denizen.core.errors import Overloaded, StoreClosed
from denizen.store.recent import Range

WATCHES_MAX = 10_000


class Watches:
    """Waiters by key, each with the value that it waits to see gone."""

    def __init__(self) -> None:
        self._waiters: dict[bytes, list[tuple[bytes | None, asyncio.Future[None]]]] = {}
        self._count = 0

    def add(self, key: bytes, value: bytes | None) -> asyncio.Future[None]:
        """A future that ends once the key holds something else. Raises `Overloaded`."""
        if self._count >= WATCHES_MAX:
            raise Overloaded(f"At most {WATCHES_MAX} keys are watched at a time: watch fewer.")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, []).append((value, future))
        self._count += 1
        future.add_done_callback(lambda done: self._remove(key, done))
        return future

    def notice(self, writes: Mapping[bytes, bytes | None], ranges: Sequence[Range]) -> None:
        """A group is durable: end the waits for keys that now hold something else."""
        for key in list(self._waiters):
            if key in writes:
                self._end_waits(key, writes[key])
            elif any(begin <= key < end for begin, end in ranges):
                self._end_waits(key, None)

    def close(self) -> None:
        """End every wait with `StoreClosed`."""
        for waiters in list(self._waiters.values()):
            for _, future in waiters:
                if not future.done():
                    future.set_exception(
                        StoreClosed("The store was closed while a key was watched.")
                    )
                    future.exception()  # a watch that nobody awaits any more is no news

    def _end_waits(self, key: bytes, value: bytes | None) -> None:
        for before, future in self._waiters[key]:
            if value != before and not future.done():
                future.set_result(None)

    def _remove(self, key: bytes, future: asyncio.Future[None]) -> None:
        left = [waiter for waiter in self._waiters.get(key, ()) if waiter[1] is not future]
        if left:
            self._waiters[key] = left
        else:
            self._waiters.pop(key, None)
        self._count -= 1
