"""The smallest durable actor: a number that survives whatever happens to the server."""

import msgspec

from denizen import Actor, action


class CounterState(msgspec.Struct):
    count: int = 0


class Counter(Actor[CounterState]):
    @action
    async def increment(self, by: int = 1) -> int:
        self.state.count += by
        self.broadcast("changed", self.state.count)
        return self.state.count
