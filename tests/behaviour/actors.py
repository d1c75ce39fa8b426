"""The actors of these tests. They are steered by calls only, so that they may live in any process.

A test that needs a moment in the middle of an action lets the action wait at a `Latch`.
"""

import asyncio
import dataclasses
from collections import defaultdict
from typing import Any

import msgspec

from denizen import Actor, UserError, action
from tests.behaviour.lives import LIVES
from tests.behaviour.states import STATES, CounterState, Point
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
    Bare,
    Broken,
    Latch,
    Plain,
    Stateless,
    *LIVES,
    *STATES,
    *WEB,
]
