"""A client of protocol v1 that speaks raw JSON frames over a connection in memory."""

import json
from typing import Any

from denizen.gateway.memory import MemoryClosed, MemoryPeer
from denizen.testing.system import System

WAIT_S = 10.0


class Link:
    """One connection. Frames that were passed over while waiting for another are in `passed`."""

    def __init__(self, peer: MemoryPeer) -> None:
        self.peer = peer
        self.passed: list[tuple[str, Any]] = []
        self._next_id = 0

    def say(self, body: dict[str, Any]) -> None:
        self.peer.say(json.dumps({"body": body}).encode(), False)

    def send(self, action: str, *args: Any) -> int:
        """Send a call; its id."""
        call_id, self._next_id = self._next_id, self._next_id + 1
        self.say({"rr": {"i": call_id, "n": action, "a": list(args)}})
        return call_id

    def subscribe(self, *events: str) -> None:
        for event in events:
            self.say({"sr": {"e": event, "s": True}})

    async def next(self) -> tuple[str, Any]:
        """The next frame: its kind and what is in it."""
        payload, is_binary = await self.peer.hear(WAIT_S)
        assert not is_binary
        ((kind, frame),) = json.loads(payload)["body"].items()
        return kind, frame

    async def answer(self, call_id: int) -> Any:
        """The result of a call, or its error frame."""
        while True:
            for at, (kind, frame) in enumerate(self.passed):
                if kind in ("ro", "re") and frame["i"] == call_id:
                    del self.passed[at]
                    return frame["o"] if kind == "ro" else frame
            self.passed.append(await self.next())

    async def call(self, action: str, *args: Any) -> Any:
        """The result of a call, or its error frame."""
        return await self.answer(self.send(action, *args))

    async def end(self) -> tuple[int, list[tuple[str, Any]]]:
        """The close code, and the frames before it."""
        frames = []
        try:
            while True:
                frames.append(await self.next())
        except MemoryClosed as closed:
            return closed.code, frames

    @property
    def events(self) -> list[list[Any]]:
        """The events passed over: `[name, *args]`."""
        return [[frame["n"], *frame["a"]] for kind, frame in self.passed if kind == "ev"]


def link(system: System, actor: str, *key: str, **params: Any) -> Link:
    """Connect with JSON parameters, or with none."""
    text = json.dumps(params) if params else None
    return Link(system.connect(actor, *key, params=text))


class Latch:
    """The test's side of the `Latch` actor."""

    def __init__(self, system: System) -> None:
        self._latch = system.get("latch")

    async def arrived(self, door: str) -> None:
        await self._latch.arrived(door)

    async def open(self, door: str) -> None:
        await self._latch.open(door)
