"""The actors under measurement, written as any author would write them."""

import asyncio
import time
from typing import Any

import msgspec

from denizen import Actor, action

FIELDS = 100
FIELD_BYTES = 2**20 // FIELDS
SLICE_S = 0.002


class CounterState(msgspec.Struct):
    count: int = 0


class Counter(Actor[CounterState]):
    """The smallest durable call: one field of one row, new each time."""

    @action
    async def increment(self) -> int:
        self.state.count += 1
        return self.state.count

    @action
    async def get(self) -> int:
        """A call that writes nothing."""
        return self.state.count


WideState = msgspec.defstruct(
    "WideState",
    [("touched", int, 0), *((f"field_{number}", str, "") for number in range(FIELDS))],
    module=__name__,
)


def new_value(number: int) -> str:
    """A field's worth of text that no other number has."""
    return (f"{number:016d}" * (FIELD_BYTES // 16 + 1))[:FIELD_BYTES]


class Wide(Actor[WideState]):  # type: ignore[valid-type]
    """1 MiB of state in 100 fields, of which a call changes one."""

    @action
    async def fill(self) -> int:
        for number in range(FIELDS):
            setattr(self.state, f"field_{number}", new_value(number))
        return FIELDS * FIELD_BYTES

    @action
    async def touch(self) -> int:
        state: Any = self.state  # no type checker sees the fields that defstruct makes
        state.touched += 1
        touched: int = state.touched
        setattr(state, f"field_{touched % FIELDS}", new_value(FIELDS + touched))
        return touched


class Feed(Actor[None]):
    """Fan-out: each publish is one event to every subscriber, numbered so that none can be lost
    unseen. It writes nothing."""

    @action
    async def ready(self) -> bool:
        """Answers after the subscription that was sent before it."""
        return True

    @action
    async def publish(self) -> int:
        published: int = getattr(self.vars, "published", 0) + 1
        self.vars.published = published
        self.broadcast("tick", published)
        return published


class Burner(Actor[None]):
    """A bad neighbour: takes half of the loop's time in short slices."""

    @action
    async def burn(self, seconds: float) -> int:
        ends_at = time.perf_counter() + seconds
        slices = 0
        while time.perf_counter() < ends_at:
            slice_ends_at = time.perf_counter() + SLICE_S
            while time.perf_counter() < slice_ends_at:
                pass
            slices += 1
            await asyncio.sleep(SLICE_S)
        return slices
