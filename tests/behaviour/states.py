"""Actors whose states are of many kinds, and actions that begin and end in all ways."""

import asyncio
import contextlib
import dataclasses
from datetime import datetime
from typing import Any

import msgspec

from denizen import Actor, UserError, action
from denizen.core.errors import DenizenError


class CounterState(msgspec.Struct):
    count: int = 0


class Counter(Actor[CounterState]):
    @action
    async def increment(self, by: int = 1) -> int:
        self.state.count += by
        self.broadcast("changed", self.state.count)
        return self.state.count

    @action
    def read(self) -> int:
        return self.state.count

    @action
    def mine(self) -> str | None:
        return self.caller.id if self.caller else None


class Inner(msgspec.Struct):
    names: list[str] = []


@dataclasses.dataclass
class Point:
    x: int = 0


class BookState(msgspec.Struct):
    count: int = 0
    items: list[int] = []
    table: dict[str, list[int]] = {}
    inner: Inner = msgspec.field(default_factory=Inner)
    point: Point = msgspec.field(default_factory=Point)
    loose: Any = None
    at: datetime | None = None
    text: str = ""


class Book(Actor[BookState]):
    """A state of many kinds, and actions that begin and end in all ways."""

    async def _stop(self, door: str) -> None:
        await self.client.get("latch").wait(door)

    # Plain.

    @action
    def read(self) -> BookState:
        return self.state

    @action
    def add(self, item: int) -> int:
        self.state.items.append(item)
        return len(self.state.items)

    @action
    async def add_later(self, item: int) -> int:
        self.state.items.append(item)
        return len(self.state.items)

    @action
    async def add_both_sides(self, item: int, door: str) -> None:
        self.state.items.append(item)
        await self._stop(door)
        self.state.items.append(-item)

    @action
    async def add_then_raise(self, item: int, door: str) -> None:
        await self.add_both_sides(item, door)
        raise UserError("after all", code="after_all")

    @action
    async def hold_items(self, item: int, door: str) -> None:
        """Append, after a wait, to a list that was read before it."""
        items = self.state.items
        await self._stop(door)
        items.append(item)

    @action
    def spawn_holding(self, item: int, door: str) -> None:
        items = self.state.items
        inner = self.state.inner

        async def later() -> None:
            await self._stop(door)
            items.append(item)
            inner.names.append(str(item))

        self.spawn(later())

    @action(exclusive=True)
    async def spawn_from_exclusive(self, item: int, door: str) -> None:
        items = self.state.items

        async def later() -> None:
            await self._stop(door)
            items.append(item)

        self.spawn(later())

    @action
    async def leave_child_holding(self, item: int, door: str) -> None:
        items = self.state.items

        async def later() -> None:
            await self._stop(door)
            items.append(item)

        self.vars.child = asyncio.create_task(later())

    @action(exclusive=True)
    async def leave_child_from_exclusive(self, item: int, door: str) -> None:
        await self.leave_child_holding(item, door)

    # Exclusive.

    @action(exclusive=True)
    async def change_all_alone(self, item: int, door: str = "", fails: bool = False) -> None:
        self.state.count += item
        self.state.items.append(item)
        self.state.table.setdefault("a", []).append(item)
        self.state.inner.names.append(str(item))
        self.state.point.x = item
        self.broadcast("half", item)
        if door:
            await self._stop(door)
        self.state.text = "x" * item
        self.state.items = [*self.state.items, item]
        self.broadcast("whole", item)
        if fails:
            raise UserError("undone", code="undone")

    @action(exclusive=True)
    def change_at_once(self, item: int, fails: bool = False) -> int:
        self.state.items.append(item)
        self.broadcast("whole", item)
        if fails:
            raise UserError("undone", code="undone")
        return item

    @action(exclusive=True, timeout_s=0.05)
    async def swallow_alone(self, door: str) -> None:
        """Change, then outlive a cancellation and return well."""
        self.state.count += 1
        with contextlib.suppress(asyncio.CancelledError):
            await self._stop(door)
        self.state.count += 1

    @action(exclusive=True, timeout_s=0.05)
    async def too_slow_alone(self, door: str) -> None:
        self.state.count += 1
        await self._stop(door)

    @action(exclusive=True)
    async def durable_alone(self) -> str:
        self.state.count += 1
        await self.durable()
        return "durable"

    @action(exclusive=True)
    async def order_alone(self, name: str, door: str = "") -> list[str]:
        self.state.inner.names.append(name)
        if door:
            await self._stop(door)
        return self.state.inner.names

    @action(exclusive=True)
    async def spawn_and_fail(self) -> None:
        async def never() -> None:
            self.state.count = -1

        self.spawn(never())
        raise UserError("undone")

    # Values that can't be stored.

    @action
    async def store_strange(self, where: str) -> str:
        self.state.count += 1
        strange: Any = {"object": object(), "type": "text"}[where]
        if where == "type":
            self.state.count = strange
        else:
            self.state.table["bad"] = [1, {"deep": strange}]  # type: ignore[list-item]
        return "accepted"

    @action
    async def store_strange_then_go_on(self, door: str) -> str:
        self.state.loose = {"list": [1, object()]}
        try:
            await self._stop(door)
        except DenizenError as error:
            return error.code
        return "accepted"

    @action(exclusive=True)
    async def store_strange_alone(self) -> None:
        self.state.count += 1
        self.state.loose = object()

    @action
    def fill(self, size: int) -> int:
        self.state.text = "x" * size
        return size

    @action
    def fill_and_count(self, size: int) -> None:
        self.state.count += 1
        self.state.text = "x" * size

    # Replies and events that alias the state.

    @action
    async def reply_alias(self) -> list[int]:
        items = self.state.items

        async def spoil() -> None:
            items.append(99)

        self.spawn(spoil())
        return items

    @action
    async def emit_alias(self) -> None:
        self.broadcast("items", self.state.items)
        self.state.items.append(100)
        for connection in self.connections:
            connection.send("own", self.state.table)
        self.state.table["later"] = []

    # Strays.

    @action
    async def change_in_callback(self, item: int) -> None:
        def callback() -> None:
            self.state.items.append(item)
            self.vars.called.set_result(None)

        self.vars.called = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(callback)
        await self.vars.called

    @action(exclusive=True)
    async def callback_alone(self, item: int, door: str, fails: bool) -> None:
        self.state.count += item
        await self.change_in_callback(item)
        await self._stop(door)
        if fails:
            raise UserError("undone")


class Hooked(Actor[CounterState]):
    """Looks at its own changes."""

    def on_state_change(self) -> None:
        self.vars.seen = getattr(self.vars, "seen", 0) + 1
        if self.state.count == 13:
            self.state.count = 14
        if self.state.count == 66:
            self.state.count = object()  # type: ignore[assignment]
        if self.state.count == 77:
            raise ValueError("secret of the hook")

    @action
    def set(self, count: int) -> int:
        self.state.count = count
        return count

    @action(exclusive=True)
    def set_alone(self, count: int) -> int:
        self.state.count = count
        return count

    @action
    def read(self) -> list[int]:
        return [self.state.count, getattr(self.vars, "seen", 0)]


STATES: list[type[Actor[Any]]] = [Book, Counter, Hooked]
