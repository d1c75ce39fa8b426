"""Actors with hooks, calls to each other, crashes and stubborn actions."""

import asyncio
from typing import Any

import msgspec

from denizen import Actor, UserError, action
from denizen.sdk import Connection
from tests.behaviour.states import CounterState


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


LIVES: list[type[Actor[Any]]] = [Account, Explicit, Loop, Nervous, Room, Stubborn]
