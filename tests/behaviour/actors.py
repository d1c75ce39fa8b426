"""The actors of these tests. They are steered by calls only, so that they may live in any process.

A test that needs a moment in the middle of an action lets the action wait at a `Latch`.
"""

import asyncio
import contextlib
import dataclasses
from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec

from denizen import Actor, UserError, action
from denizen.core.errors import DenizenError
from denizen.sdk import Connection
from tests.behaviour.web import WEB


class Latch(Actor):
    """Doors by name: `wait` stops at one, `arrived` returns once somebody stands there."""

    async def on_start(self) -> None:
        self.vars.open = defaultdict(asyncio.Event)
        self.vars.came = defaultdict(asyncio.Event)
        self.vars.waiting = 0

    @action(timeout_s=30)
    async def wait(self, door: str) -> None:
        self.vars.came[door].set()
        self.vars.waiting += 1
        try:
            await self.vars.open[door].wait()
        finally:
            self.vars.waiting -= 1

    @action
    def waiting(self) -> int:
        return self.vars.waiting  # type: ignore[no-any-return]

    @action(timeout_s=20)
    async def arrived(self, door: str) -> None:
        await self.vars.came[door].wait()

    @action
    def open(self, door: str) -> None:
        self.vars.open[door].set()


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


class RoomState(msgspec.Struct):
    log: list[str] = []


class Room(Actor[RoomState]):
    """All hooks, each of which writes down that it ran."""

    async def on_create(self, input: Any) -> None:
        self.state.log.append(f"create {input}")

    async def on_start(self) -> None:
        self.state.log.append(f"start {self.generation}")

    async def on_before_connect(self, params: Any) -> Any:
        params = params or {}
        if params.get("refuse"):
            raise UserError("not you", code="not_you", metadata={"why": "name"})
        if params.get("bug"):
            raise ZeroDivisionError("secret of the hook")
        if door := params.get("before"):
            await self.client.get("latch").wait(door)
        return {"name": params.get("name", "?")}

    async def on_connect(self, connection: Connection) -> None:
        name = connection.state["name"]
        connection.send("welcome", name)
        if door := (connection.params or {}).get("during"):
            await self.client.get("latch").wait(door)
        self.state.log.append(f"connect {name}")
        if (connection.params or {}).get("late_bug"):
            raise ZeroDivisionError("secret of the hook")

    async def on_disconnect(self, connection: Connection) -> None:
        self.state.log.append(f"disconnect {connection.state['name']}")
        self.broadcast("left", connection.state["name"])

    async def on_destroy(self) -> None:
        if self.key == ("hangs",):
            await asyncio.sleep(30)
        await self.client.get("counter", "destroyed").increment()

    @action
    def log_lines(self) -> list[str]:
        return self.state.log

    @action
    def note(self, text: str) -> None:
        self.state.log.append(text)

    @action(exclusive=True)
    async def note_alone(self, text: str, door: str) -> None:
        self.state.log.append(text)
        await self.client.get("latch").wait(door)

    @action
    def names(self) -> list[str]:
        return [connection.state["name"] for connection in self.connections]

    @action
    async def who(self, door: str = "") -> list[str]:
        before = self.caller.state["name"] if self.caller else "-"
        if door:
            await self.client.get("latch").wait(door)
        return [before, self.caller.state["name"] if self.caller else "-"]

    @action
    async def who_in_tasks(self) -> list[str]:
        async def who() -> str:
            await asyncio.sleep(0)
            return self.caller.state["name"] if self.caller else "-"

        return await asyncio.gather(who(), asyncio.create_task(who()))

    @action
    def tell(self, name: str, event: str, *args: Any) -> None:
        for connection in self.connections:
            if connection.state["name"] == name:
                connection.send(event, *args)

    @action
    def kick(self, name: str) -> None:
        for connection in self.connections:
            if connection.state["name"] == name:
                connection.disconnect("kicked")

    @action
    def who_am_i(self) -> dict[str, Any]:
        return {
            "id": self.actor_id,
            "type": self.type,
            "key": list(self.key),
            "tags": self.tags,
            "namespace": self.namespace,
            "region": self.region,
            "generation": self.generation,
        }

    @action
    def end(self) -> str:
        self.destroy()
        return "ended"

    @action(exclusive=True)
    def end_alone(self, fails: bool = False) -> None:
        self.destroy()
        if fails:
            raise UserError("undone")


class Explicit(Actor[CounterState], create="explicit"):
    @action
    def increment(self) -> int:
        self.state.count += 1
        return self.state.count


class Account(Actor[CounterState], exclusive=True):
    """Every action exclusive but one."""

    @action
    async def put(self, amount: int, door: str = "") -> int:
        self.state.count += amount
        if door:
            await self.client.get("latch").wait(door)
        return self.state.count

    @action(exclusive=False)
    def peek(self) -> int:
        return self.state.count


class Loop(Actor[CounterState]):
    """Calls others, who call back."""

    @action(exclusive=True)
    async def alone(self, path: list[str]) -> Any:
        return await self._go(path)

    @action
    async def beside(self, path: list[str]) -> Any:
        return await self._go(path)

    async def _go(self, path: list[str]) -> Any:
        if not path:
            return "end"
        if path[0].startswith("@"):
            await self.client.get("latch").wait(path[0])
            return await self._go(path[1:])
        self.state.count += 1
        where, _, how = path[0].partition(".")
        return await self.client.get("loop", where).call(how, path[1:])

    @action
    def read(self) -> int:
        return self.state.count


class Nervous(Actor[CounterState]):
    """Its start asks others, raises, or stores what can't be stored, by the key."""

    async def on_start(self) -> None:
        how = self.key[0]
        if how == "asks":
            self.state.count = await self.client.get("counter", "asked").increment()
        elif how == "asks-itself":
            await self.client.get("nervous", "helper").call_back(list(self.key))
        elif how == "durable":
            await self.durable()
        elif how == "raises":
            raise ZeroDivisionError("secret of the start")
        elif how == "refuses":
            raise UserError("not today", code="not_today")
        elif how == "strange":
            self.state.count = object()  # type: ignore[assignment]
        elif how == "spawns":
            self.spawn(self._tick())

    async def _tick(self) -> None:
        self.state.count += 1

    @action
    def read(self) -> int:
        return self.state.count

    @action
    async def call_back(self, key: list[str]) -> int:
        return await self.client.get("nervous", *key).read()

    @action
    def crash_later(self, supervised: bool) -> None:
        async def fall() -> None:
            self.state.count += 1
            raise ZeroDivisionError("secret of the task")

        self.spawn(fall(), supervised=supervised)


class Stubborn(Actor[CounterState]):
    """Doesn't want to be cancelled."""

    @action(timeout_s=0.05)
    async def swallow_once(self) -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.state.count += 1
        return "still here"

    @action(timeout_s=0.05)
    async def swallow_for_ever(self) -> None:
        while True:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.state.count += 1

    @action(timeout_s=0.05, exclusive=True)
    async def swallow_for_ever_alone(self) -> None:
        while True:
            try:
                self.state.count += 1
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                continue

    @action(timeout_s=0.05)
    async def swallow_everything(self) -> None:
        while True:
            try:
                await asyncio.sleep(30)
            except BaseException:
                self.state.count += 1

    @action(timeout_s=0.05)
    async def clean_up(self) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            self.state.count += 10

    @action(timeout_s=0.05)
    async def change_then_sleep(self) -> None:
        self.state.count += 1
        await asyncio.sleep(30)

    @action
    def read(self) -> int:
        return self.state.count


class Broken(Actor[CounterState]):
    """Names that must not be callable beside ones that fail in all ways."""

    not_an_action = 5

    def plain_method(self) -> str:
        return "reached"

    @action
    async def bug(self) -> None:
        self.state.count += 1
        raise ZeroDivisionError("secret of the action")

    @action
    def bug_at_once(self) -> None:
        raise KeyError("secret of the action")

    @action
    async def refuse(self, metadata: Any = None) -> None:
        raise UserError("out of milk", code="no_milk", metadata=metadata)

    @action
    async def refuse_plainly(self) -> None:
        raise UserError("no")

    @action
    async def group(self) -> None:
        async def fall() -> None:
            raise ZeroDivisionError("secret of the group")

        async with asyncio.TaskGroup() as group:
            group.create_task(fall())

    @action
    def return_strange(self) -> Any:
        return {"a": [object()]}

    @action
    def emit_strange(self) -> None:
        self.broadcast("strange", object())

    @action
    def echo(self, *values: Any) -> list[Any]:
        return list(values)

    @action
    def typed(self, point: Point, names: list[str], ratio: float = 0.5) -> list[Any]:
        return [point.x, names, ratio]

    @action
    def whole(self, count: int) -> int:
        return count

    @action
    def read(self) -> int:
        return self.state.count


class Stateless(Actor):
    @action
    def hello(self) -> str:
        return "hello"

    @action
    def state_of_none(self) -> Any:
        return self.state

    @action
    def set_var(self, value: int) -> None:
        self.vars.value = value

    @action
    def get_var(self) -> int | None:
        return getattr(self.vars, "value", None)


class BareState(msgspec.Struct):
    name: str


class Bare(Actor[BareState]):
    """A state without defaults: `on_create` must assign it, and does so for one key only."""

    async def on_create(self, input: Any) -> None:
        if self.key == ("good",):
            self.state = BareState("made")

    @action
    def read(self) -> str:
        return self.state.name


@dataclasses.dataclass
class PlainState:
    count: int = 0
    names: list[str] = dataclasses.field(default_factory=list)


class Plain(Actor[PlainState]):
    """A dataclass for a state."""

    @action
    def add(self, name: str) -> PlainState:
        self.state.count += 1
        self.state.names.append(name)
        return self.state

    @action(exclusive=True)
    def fail(self, name: str) -> None:
        self.state.count += 1
        self.state.names.append(name)
        raise UserError("undone")

    @action
    def replace(self) -> PlainState:
        self.state = PlainState(100, ["new"])
        return self.state


ACTORS: list[type[Actor[Any]]] = [
    Account,
    Bare,
    Book,
    Broken,
    Counter,
    Explicit,
    Hooked,
    Latch,
    Loop,
    Nervous,
    Plain,
    Room,
    Stateless,
    Stubborn,
    *WEB,
]
