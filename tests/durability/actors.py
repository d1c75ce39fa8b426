"""The actors that durability is proved with: each call leaves a trace of its own in the state."""

import msgspec

from denizen import Actor, action


class CounterState(msgspec.Struct):
    count: int = 0


class Counter(Actor[CounterState]):
    """What an increment returns, and what it tells everybody, is how many there were."""

    @action
    async def increment(self) -> int:
        self.state.count += 1
        self.broadcast("changed", self.state.count)
        return self.state.count

    @action
    async def value(self) -> int:
        return self.state.count


class RoomState(msgspec.Struct):
    lines: list[str] = []


class Room(Actor[RoomState]):
    """A list that grows, in the order of what was said; it can be ended."""

    @action
    async def say(self, text: str) -> int:
        self.state.lines.append(text)
        return len(self.state.lines)

    @action
    async def value(self) -> list[str]:
        return self.state.lines

    @action
    async def end(self) -> None:
        self.destroy()


class TokenState(msgspec.Struct):
    number: int = 0
    token: str = ""


class Token(Actor[TokenState]):
    """Each call stores a text that can be recognised in what is written and in what is sent."""

    @action
    async def draw(self) -> str:
        self.state.number += 1
        self.state.token = f"token-{self.state.number:08d}"
        return self.state.token


ACTORS = (Counter, Room, Token)
