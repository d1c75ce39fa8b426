"""What a declaration of an action means: arguments bound by their hints, results held to theirs."""

from typing import Any

import msgspec
import pytest

from denizen import Actor, action
from denizen.core.errors import InvalidArguments
from denizen.sdk.actions import Action
from denizen.sdk.actor import type_of
from denizen.wire.values import Unencodable, unpack


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Sample(Actor):
    @action
    def scale(self, point: Point, by: int = 2) -> Point:
        return Point(point.x * by, point.y * by)

    @action
    def count(self) -> int:
        return 0

    @action
    def add(self, *numbers: int) -> int:
        return sum(numbers)

    @action
    def note(self, text: str, about: str | None) -> None: ...


def sample(name: str) -> Action:
    return type_of(Sample).actions[name]


@pytest.mark.parametrize(
    ("name", "args", "bound"),
    [
        ("scale", [{"x": 1}], (Point(1),)),
        ("scale", [{"x": 1, "y": 2}, 3], (Point(1, 2), 3)),
        ("count", [], ()),
        ("add", [], ()),
        ("add", [1, 2, 3], (1, 2, 3)),
        ("note", ["a"], ("a", None)),
    ],
)
def test_arguments_are_bound_by_their_hints(
    name: str, args: list[Any], bound: tuple[Any, ...]
) -> None:
    assert sample(name).bind_args(args) == bound


@pytest.mark.parametrize(
    ("name", "args", "told"),
    [
        ("scale", [{"x": "1"}], "scale: Expected `int`, got `str` - at `$[0].x`"),
        ("scale", [], "scale takes 1 to 2 arguments, 0 were given."),
        ("scale", [{"x": 1}, 2, 3], "scale takes 1 to 2 arguments, 3 were given."),
        ("count", [1], "count takes 0 arguments, 1 were given."),
        ("add", [1, True], "add: Expected `int`, got `bool` - at `$[1]`"),
        ("note", [], "note takes 2 arguments, 0 were given."),
    ],
)
def test_wrong_arguments_are_refused_with_the_path(name: str, args: list[Any], told: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        sample(name).bind_args(args)
    assert refused.value.message == told


def test_a_result_is_packed_as_its_hint_says() -> None:
    assert unpack(sample("scale").pack_result(Point(1, 2))) == {"x": 1, "y": 2}
    assert unpack(sample("count").pack_result(3)) == 3
    assert unpack(sample("note").pack_result(None)) is None


@pytest.mark.parametrize(
    ("name", "result"), [("count", "3"), ("count", None), ("scale", {"y": 1}), ("note", 5)]
)
def test_a_result_that_breaks_its_hint_is_not_sent(name: str, result: Any) -> None:
    with pytest.raises(Unencodable, match=f"it isn't what {name} promises"):
        sample(name).pack_result(result)


def test_what_cannot_be_an_action_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="begin with '_'"):

        class Hidden(Actor):
            @action
            def _secret(self) -> None: ...

    with pytest.raises(TypeError, match="positional"):

        class Named(Actor):
            @action
            def call(self, *, by: int) -> None: ...

    with pytest.raises(TypeError, match="generators can't be actions"):

        class Stream(Actor):
            @action
            async def numbers(self) -> Any:
                yield 1

    with pytest.raises(TypeError, match="timeout_s must be above 0"):
        action(timeout_s=0)
