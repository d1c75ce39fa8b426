"""The actors of a simulated world. Each says enough about itself for the monitors to judge it.

Every change makes `number` one higher and is told in one event, and every answer and event carries
the actor's id and the number that it has seen: so whoever looks on knows what must be durable, and in
which order things came. `is_known`: whether the actor had let in the connection that called it.
An actor that sees a promise broken raises `PromiseBroken`, which ends the world.
"""

import asyncio
from typing import Any

import msgspec

from denizen.core.errors import UserError
from denizen.sdk.actions import action
from denizen.sdk.actor import Actor
from denizen.sdk.connections import Connection

TOTAL = 100
TIMEOUT_S = 0.5
"""Of the actions that are meant to be over their time."""
GREETING_S = 0.005
"""How long hooks take that take their time."""


class PromiseBroken(Exception):
    """An actor saw what it must never see."""


class TallyState(msgspec.Struct):
    number: int = 0
    ops: list[str] = []
    ballast: bytes = b""


class Tally(Actor[TallyState], type="tally"):
    """Parallel actions on a list, whose order is the order of the changes."""

    @action
    async def add(self, op: str, after: list[Any] | None = None) -> dict[str, Any]:
        """`after` is the change of a caller that must be durable before this."""
        return self._add(op)

    @action
    def add_plainly(self, op: str) -> dict[str, Any]:
        return self._add(op)

    @action
    async def read(self) -> dict[str, Any]:
        return self._seen()

    @action
    async def ops(self) -> dict[str, Any]:
        seen = self._seen(self.state.ops)
        ballast = self.state.ballast
        return {**seen, "ballast": [len(ballast), ballast[:20].decode()]}

    @action
    async def add_held(self, op: str, pause_s: float) -> dict[str, Any]:
        """Change a list that was read before an await (promise 7)."""
        ops = self.state.ops
        await asyncio.sleep(pause_s)
        ops.append(op)
        self.state.number += 1
        self.broadcast("changed", self.actor_id, self.state.number, op)
        return self._seen()

    @action
    async def add_later(self, op: str, count: int, pause_s: float) -> dict[str, Any]:
        self.spawn(self._add_some(op, count, pause_s))
        return self._seen()

    @action
    async def add_heavily(self, op: str, size_bytes: int) -> dict[str, Any]:
        """Change a field that is stored in chunks, or no longer is."""
        self.state.ballast = (op.encode() * size_bytes)[:size_bytes]
        return self._add(op)

    @action
    async def add_and_crash(self, op: str) -> dict[str, Any]:
        """A task of the actor adds and raises: the actor ends, and starts again when it is called."""
        self.spawn(self._crash(f"{op}.0"))
        return self._seen()

    @action(timeout_s=TIMEOUT_S)
    async def dawdle(self, op: str) -> dict[str, Any]:
        """Is cancelled before it adds."""
        await asyncio.sleep(4 * TIMEOUT_S)
        return self._add(op)

    async def _add_some(self, op: str, count: int, pause_s: float) -> None:
        for nth in range(count):
            await asyncio.sleep(pause_s)
            self._add(f"{op}.{nth}")

    async def _crash(self, op: str) -> None:
        await asyncio.sleep(0)
        self._add(op)
        raise UserError("The task was asked to raise.")

    def _add(self, op: str) -> dict[str, Any]:
        state = self.state
        state.ops.append(op)
        state.number += 1
        self.broadcast("changed", self.actor_id, state.number, op)
        return self._seen()

    def _seen(self, value: Any = None) -> dict[str, Any]:
        return {"id": self.actor_id, "number": self.state.number, "value": value}


class AccountState(msgspec.Struct):
    number: int = 0
    left: int = TOTAL
    right: int = 0
    ops: list[str] = []


class Account(Actor[AccountState], type="account", exclusive=True):
    """Exclusive transfers between two fields, which add up to `TOTAL` at all times."""

    @action
    async def transfer(self, op: str, amount: int, pause_s: float, fails: bool) -> dict[str, Any]:
        """Move an amount, in two turns; with `fails`, raise between them."""
        state, is_known = self.state, self.caller is not None
        left, right = state.left, state.right
        self._check("a transfer began")
        state.left = left - amount
        self.broadcast("changed", self.actor_id, state.number + 1, op)
        await asyncio.sleep(pause_s)
        if fails:
            raise UserError("The transfer was asked to fail.", code="asked_to_fail")
        state.right = right + amount
        state.ops.append(op)
        state.number += 1
        return {**self._seen(), "is_known": is_known}

    @action(timeout_s=TIMEOUT_S)
    async def stall(self, op: str) -> dict[str, Any]:
        """A transfer that is over its time."""
        return await self.transfer(op, 1, 4 * TIMEOUT_S, False)

    @action(timeout_s=TIMEOUT_S)
    async def cling(self, op: str) -> dict[str, Any]:
        """Swallows its cancellation, again and again."""
        while True:
            try:
                await asyncio.sleep(4 * TIMEOUT_S)
            except asyncio.CancelledError:
                continue

    @action(exclusive=False)
    async def peek(self) -> dict[str, Any]:
        self._check("an action that isn't exclusive ran")
        return {**self._seen(), "is_known": self.caller is not None}

    @action(exclusive=False)
    async def ops(self) -> dict[str, Any]:
        self._check("an action that isn't exclusive ran")
        state = self.state
        return self._seen([state.left, state.right, *state.ops])

    @action(exclusive=False)
    async def watch(self, count: int, pause_s: float) -> dict[str, Any]:
        self.spawn(self._watch(count, pause_s))
        return self._seen()

    async def _watch(self, count: int, pause_s: float) -> None:
        for _ in range(count):
            await asyncio.sleep(pause_s)
            self._check("a task of the actor ran")

    def _check(self, when: str) -> None:
        state = self.state
        if state.left + state.right != TOTAL:
            raise PromiseBroken(f"8, exclusive runs alone: {when} within a transfer")

    def _seen(self, value: Any = None) -> dict[str, Any]:
        return {"id": self.actor_id, "number": self.state.number, "value": value}


class ClerkState(msgspec.Struct):
    number: int = 0
    ops: list[str] = []


class Clerk(Actor[ClerkState], type="clerk"):
    """Changes itself, then another actor. Takes its time to start and to greet."""

    async def on_start(self) -> None:
        await asyncio.sleep(GREETING_S)
        await self.durable()

    async def on_before_connect(self, params: Any) -> dict[str, bool]:
        await asyncio.sleep(GREETING_S)
        return {"is_greeted": False}

    async def on_connect(self, connection: Connection) -> None:
        await asyncio.sleep(GREETING_S)
        connection.state["is_greeted"] = True

    @action
    async def hand_on(self, op: str, tally: str) -> dict[str, Any]:
        return await self._hand_on(op, tally)

    @action(exclusive=True)
    async def hand_on_alone(self, op: str, tally: str) -> dict[str, Any]:
        """The same, all or nothing: its own change is committed at its end."""
        heard = await self.client.get("tally", tally).add(op)
        self._note(op)
        return self._seen(heard["number"])

    @action
    async def ops(self) -> dict[str, Any]:
        return self._seen(self.state.ops)

    async def _hand_on(self, op: str, tally: str) -> dict[str, Any]:
        is_known = self.caller is not None and self.caller.state["is_greeted"]
        self._note(op)
        after = [self.actor_id, self.state.number]
        heard = await self.client.get("tally", tally).add(op, after)
        return {**self._seen(heard["number"]), "is_known": is_known}

    def _note(self, op: str) -> None:
        self.state.ops.append(op)
        self.state.number += 1
        self.broadcast("changed", self.actor_id, self.state.number, op)

    def _seen(self, value: Any = None) -> dict[str, Any]:
        return {"id": self.actor_id, "number": self.state.number, "value": value}


class PhoenixState(msgspec.Struct):
    number: int = 0
    ops: list[str] = []


class Phoenix(Actor[PhoenixState], type="phoenix"):
    """Is destroyed and created anew at the same address."""

    async def on_create(self, input: Any) -> None:
        if self.state.ops:
            raise PromiseBroken("a new actor has the state of the one before it")
        self.state.ops.append(self.actor_id)
        self.state.number = 1

    async def on_destroy(self) -> None:
        self.state.ops.append("last words")

    @action
    async def add(self, op: str) -> dict[str, Any]:
        self.state.ops.append(op)
        self.state.number += 1
        self.broadcast("changed", self.actor_id, self.state.number, op)
        return self._seen()

    @action
    async def end(self, op: str) -> dict[str, Any]:
        self.destroy()
        return self._seen()

    @action
    async def ops(self) -> dict[str, Any]:
        return self._seen(self.state.ops)

    def _seen(self, value: Any = None) -> dict[str, Any]:
        return {"id": self.actor_id, "number": self.state.number, "value": value}


CLASSES: tuple[type[Actor[Any]], ...] = (Tally, Account, Clerk, Phoenix)
