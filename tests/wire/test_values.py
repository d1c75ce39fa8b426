"""The neutral form: what packs, what it comes back as, and what is refused, with its path."""

import enum
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import inf, nan
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.wire.values import NESTING_MAX, Unencodable, pack, plain, unpack

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Blob(bytes):
    pass


class Moment(datetime):
    pass


class Move(msgspec.Struct):
    by: str
    at: Any = None


class Tagged(msgspec.Struct, tag="move", rename="camel"):
    made_at: datetime


@dataclass
class Place:
    x: int
    inside: list["Place"] = field(default_factory=list)


Point = namedtuple("Point", "x y")

PLAIN = [
    (None, None),
    (True, True),
    (0, 0),
    (-(2**63), -(2**63)),
    (2**64 - 1, 2**64 - 1),
    (1.5, 1.5),
    ("é\0", "é\0"),
    (b"\xff", b"\xff"),
    (bytearray(b"a"), b"a"),
    (memoryview(b"a"), b"a"),
    (NOON, NOON),
    (NOON.astimezone(timezone(timedelta(hours=-9))), NOON),
    (NOON.replace(tzinfo=None), "2026-11-23T12:00:00"),
    (date(2026, 11, 23), "2026-11-23"),
    (time(12, 30), "12:30:00"),
    (timedelta(seconds=90), "PT90S"),
    (Decimal("1.10"), "1.10"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ((1, 2), [1, 2]),
    ({1}, [1]),
    (frozenset(["a"]), ["a"]),
    ([[1, (2,)], {"a": {3}}], [[1, [2]], {"a": [3]}]),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Name("n"), "n"),
    (Whole(7), 7),
    (Real(1.5), 1.5),
    (Blob(b"b"), b"b"),
    (Moment(2026, 11, 23, 12, tzinfo=UTC), NOON),
    (Point(1, 2), [1, 2]),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (Counter("aa"), {"a": 2}),
    (Move("ann", NOON), {"by": "ann", "at": NOON}),
    (Move("ann", [b"a", bytearray(b"b"), Name("c")]), {"by": "ann", "at": [b"a", b"b", "c"]}),
    (Move(Name("ann"), Move("bob")), {"by": "ann", "at": {"by": "bob", "at": None}}),
    (Tagged(NOON), {"type": "move", "madeAt": NOON}),
    (Tagged(NOON.replace(tzinfo=None)), {"type": "move", "madeAt": "2026-11-23T12:00:00"}),
    (Place(1, [Place(2)]), {"x": 1, "inside": [{"x": 2, "inside": []}]}),
    ({1: "a", -2: "b"}, {"1": "a", "-2": "b"}),
    ({1.5: "a"}, {"1.5": "a"}),
    ({True: "a"}, {"true": "a"}),
    ({Colour.RED: 1, Level.HIGH: 2}, {"red": 1, "3": 2}),
    ({Name("n"): 1, Whole(7): 2}, {"n": 1, "7": 2}),
    ({date(2026, 11, 23): 1}, {"2026-11-23": 1}),
    ({UUID(int=1): 1}, {"00000000-0000-0000-0000-000000000001": 1}),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=repr)
def test_what_a_value_becomes(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)
    assert unpack(pack(value)) == expected


def cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def cycle_of_places() -> Place:
    place = Place(1)
    place.inside.append(place)
    return place


REFUSED: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: 2**64, "$", "an integer beyond 64 bits can't be sent"),
    (lambda: -(2**63) - 1, "$", "an integer beyond 64 bits can't be sent"),
    (lambda: Whole(2**70), "$", "an integer beyond 64 bits can't be sent"),
    (lambda: {"a": [0, 2**64]}, "$.a[1]", "an integer beyond 64 bits can't be sent"),
    (lambda: nan, "$", "nan isn't a number that can be sent"),
    (lambda: [{"a": inf}], "$[0].a", "inf isn't a number that can be sent"),
    (lambda: Move("a", {"b": [nan]}), "$.at.b[0]", "nan isn't a number that can be sent"),
    (lambda: "\ud800", "$", "text with half a surrogate pair can't be sent"),
    (lambda: ["a", "\udc80"], "$[1]", "text with half a surrogate pair can't be sent"),
    (lambda: {"\ud800": 1}, "$", "text with half a surrogate pair can't be sent"),
    (lambda: Name("\ud800"), "$", "text with half a surrogate pair can't be sent"),
    (
        lambda: [datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))],
        "$[0]",
        "a time outside the years 1 to 9999 can't be sent",
    ),
    (lambda: {"1": 1, 1: 2}, "$", "two keys become the same text '1'"),
    (lambda: [{None: 1}], "$[0]", "a key of type NoneType can't be sent"),
    (lambda: {(1, 2): 1}, "$", "a key of type tuple can't be sent"),
    (lambda: {object: 1}, "$", "a key of type type can't be sent"),
    (lambda: {2**64: 1}, "$", "an integer beyond 64 bits can't be sent"),
    (lambda: {10**5000: 1}, "$", "an integer beyond 64 bits can't be sent"),
    (lambda: {inf: 1}, "$", "inf isn't a number that can be sent"),
    (lambda: [1j], "$[0]", "a complex can't be sent"),
    (lambda: {"a": {"b": print}}, "$.a.b", "a builtin_function_or_method can't be sent"),
    (lambda: Move("a", {1j}), "$", "a complex can't be sent"),
    (lambda: (item for item in ()), "$", "a generator can't be sent"),
    (lambda: msgspec.UNSET, "$", "a UnsetType can't be sent"),
    (cycle, "$" + "[0]" * 100, "it is nested more than 100 levels deep"),
]


@pytest.mark.parametrize(("make", "path", "reason"), REFUSED)
def test_what_is_refused(make: Callable[[], Any], path: str, reason: str) -> None:
    for encode in (pack, plain):
        with pytest.raises(Unencodable) as caught:
            encode(make())
        assert (caught.value.path, caught.value.reason) == (path, reason)
        assert str(caught.value) == f"{reason} - at `{path}`"


def test_a_cycle_that_only_msgspec_sees() -> None:
    with pytest.raises(Unencodable, match="recursion"):
        pack(cycle_of_places())


def test_the_depth_limit() -> None:
    value: Any = 1
    for _ in range(NESTING_MAX):
        value = [value]
    assert unpack(pack(value)) == value
    with pytest.raises(Unencodable, match="more than 100 levels"):
        pack([value])


def test_packing_takes_a_copy() -> None:
    live = {"items": [1]}
    packed, copied = pack(live), plain(live)
    live["items"].append(2)
    assert unpack(packed) == copied == {"items": [1]}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=50)
@given(VALUES)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert repr(unpack(pack(value))) == repr(plain(value)) == repr(value)
