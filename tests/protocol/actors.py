"""What these tests call besides the actors of the promises."""

from datetime import UTC, datetime
from typing import Any

from denizen import Actor, action
from tests.behaviour.actors import ACTORS as PROMISED


class Typed(Actor):
    @action
    def values(self) -> dict[str, Any]:
        return {
            "bytes": b"\x00\xff",
            "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "small": 2**31 - 1,
            "large": 2**40,
            "negative": -(2**40),
            "huge": 2**63,
            "none": None,
            "float": 0.5,
        }

    @action
    def whole(self, number: int, other: int = 7) -> list[int]:
        return [number, other]

    @action
    def moment(self, at: datetime) -> str:
        return at.isoformat()

    @action
    def size(self, data: bytes) -> int:
        return len(data)

    @action
    def plain(self, value: Any, other: Any = None) -> str:
        return repr(value)

    @action
    def nothing(self) -> None:
        return None

    @action
    def nan(self) -> float:
        return float("nan")

    @action
    def long(self, size: int) -> str:
        return "x" * size


ACTORS: list[type[Actor[Any]]] = [*PROMISED, Typed]
