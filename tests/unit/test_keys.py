"""Ordered tuple keys: the bytes have the order of the tuples, and come back as what they were."""

import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.core.keys import (
    Key,
    Versionstamp,
    after,
    pack,
    pack_with_versionstamp,
    prefix_end,
    range_of,
    unpack,
)

RANKS = [type(None), bytes, str, tuple, int, float, bool, UUID, Versionstamp]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.one_of(
    st.integers(),
    st.integers(-(1 << 200), 1 << 200),
    st.builds(
        lambda exponent, offset, sign: sign * ((1 << exponent) + offset),
        st.integers(0, 2_039),
        st.integers(-2, 2),
        st.sampled_from([-1, 1]),
    ),
)
FLOATS = st.floats(allow_nan=False)
STAMPS = st.builds(
    Versionstamp,
    st.binary(min_size=10, max_size=10).filter(lambda raw: raw != b"\xff" * 10),
    st.integers(0, 65_535),
)
FLAT = st.one_of(
    st.none(), st.binary(max_size=8), TEXTS, INTEGERS, FLOATS, st.booleans(), st.uuids(), STAMPS
)
ITEMS = st.recursive(FLAT, lambda items: st.lists(items, max_size=4).map(tuple), max_leaves=8)
KEYS = st.lists(ITEMS, max_size=4).map(tuple)


def order(item: Any) -> tuple[Any, ...]:
    """Something to sort by that has the order which `keys` promises."""
    rank = RANKS.index(type(item))
    match item:
        case None:
            return (rank,)
        case str():
            return rank, item.encode()
        case tuple():
            return rank, tuple(order(inner) for inner in item)
        case float():
            return rank, item, math.copysign(1, item)
        case UUID():
            return rank, item.bytes
        case Versionstamp():
            return rank, item.to_bytes()
        case _:
            return rank, item


@given(KEYS)
def test_a_key_comes_back_as_it_was(key: Key) -> None:
    found = unpack(pack(key))
    assert found == key
    assert order(found) == order(key)


@given(KEYS, KEYS)
def test_the_bytes_have_the_order_of_the_keys(one: Key, other: Key) -> None:
    assert (pack(one) < pack(other)) == (order(one) < order(other))
    assert (pack(one) == pack(other)) == (order(one) == order(other))


@given(INTEGERS, INTEGERS)
def test_integers_of_any_size_are_in_order(one: int, other: int) -> None:
    assert (pack((one,)) < pack((other,))) == (one < other)


@given(KEYS, KEYS)
def test_a_range_holds_what_extends_its_prefix_and_nothing_else(prefix: Key, key: Key) -> None:
    begin, end = range_of(prefix)
    extended = pack((*prefix, *key))
    assert (begin <= extended < end) == (len(key) > 0)
    extends = len(key) > len(prefix) and order(key[: len(prefix)]) == order(prefix)
    assert (begin <= pack(key) < end) == extends


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_after_is_the_next_key(key: bytes, other: bytes) -> None:
    assert key < after(key)
    assert not key < other < after(key)


@given(st.binary(max_size=6).filter(lambda raw: raw.strip(b"\xff") != b""), st.binary(max_size=8))
def test_prefix_end_is_the_first_without_the_prefix(prefix: bytes, key: bytes) -> None:
    assert (prefix <= key < prefix_end(prefix)) == key.startswith(prefix)


@given(st.binary(max_size=24))
def test_bytes_of_nobody_are_refused_or_unpacked(data: bytes) -> None:
    """Whatever is unpacked is packed to something that is unpacked to the same."""
    try:
        key = unpack(data)
    except ValueError:
        return
    assert repr(unpack(pack(key))) == repr(key)


@pytest.mark.parametrize(
    ("key", "packed"),
    [
        ((), ""),
        ((None,), "00"),
        ((b"foo\x00bar",), "01666f6f00ff62617200"),
        (("F\u00d4O\u0000bar",), "0246c3944f00ff62617200"),
        ((((b"foo\x00bar", None, ())),), "0501666f6f00ff6261720000ff050000"),
        ((-5551212,), "11ab4b93"),
        ((0, 1, -1, 255, 256), "14150113fe15ff160100"),
        ((1 << 64, -(1 << 64)), "1d09010000000000000000" + "0bf6feffffffffffffffff"),
        ((-42.0, 0.0, -0.0), "213fbaffffffffffff" + "218000000000000000" + "217fffffffffffffff"),
        ((True, False), "2726"),
    ],
)
def test_the_layout_is_that_of_the_field(key: Key, packed: str) -> None:
    assert pack(key).hex() == packed
    assert unpack(bytes.fromhex(packed)) == key


def test_a_versionstamp_that_is_still_to_be_filled_in_has_a_place() -> None:
    packed, place = pack_with_versionstamp(("log", Versionstamp(user=7), "x"))
    version = bytes(range(10))
    filled = packed[:place] + version + packed[place + 10 :]
    assert unpack(filled) == ("log", Versionstamp(version, 7), "x")
    assert unpack(packed) == ("log", Versionstamp(None, 7), "x")


@pytest.mark.parametrize(
    "before", [b"\x33" + b"\xff" * 10, "3\u00ff" * 20, 0x33FF << 96, (1 << 96) - 1]
)
def test_the_place_is_not_taken_for_one_in_another_item(before: Any) -> None:
    key = (before, Versionstamp())
    packed, place = pack_with_versionstamp(key)
    assert place == len(packed) - 12
    assert unpack(packed) == key


@pytest.mark.parametrize(
    "key", [("log",), (b"\x33" + b"\xff" * 10,), (), (Versionstamp(bytes(10)),)]
)
def test_a_key_without_a_versionstamp_has_no_place(key: Key) -> None:
    with pytest.raises(ValueError, match="no incomplete versionstamp"):
        pack_with_versionstamp(key)


def test_two_places_are_refused() -> None:
    with pytest.raises(ValueError, match="one incomplete versionstamp"):
        pack_with_versionstamp((Versionstamp(), Versionstamp()))


@pytest.mark.parametrize("item", [1j, [], {}, object(), bytearray(b"x"), 1 << 2_040, -(1 << 2_040)])
def test_what_no_key_can_hold_is_refused(item: Any) -> None:
    with pytest.raises(TypeError):
        pack((item,))


@pytest.mark.parametrize("stamp", [Versionstamp(b"short"), Versionstamp(bytes(10), 65_536)])
def test_a_versionstamp_of_the_wrong_size_is_refused(stamp: Versionstamp) -> None:
    with pytest.raises(ValueError, match="versionstamp"):
        pack((stamp,))


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        pack(("\ud800",))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\xff\xff"])
def test_no_key_ends_all(raw: bytes) -> None:
    with pytest.raises(ValueError, match="Every key"):
        prefix_end(raw)


MALFORMED = (
    "01 02 0141 05 0500ff 15 1c01 1d 1d09 0b 21 2100 30 33 "
    "03 04 06 0a 1e 20 28 40 fe ff 02ff00 050600"
)


@pytest.mark.parametrize("raw", sorted(MALFORMED.split()))
def test_bytes_that_are_no_key_are_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpack(bytes.fromhex(raw))


@pytest.mark.parametrize("depth", [100, 5_000])
def test_too_deep_a_key_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="nested"):
        unpack(b"\x05" * depth)
    nested: Key = ()
    for _ in range(depth):
        nested = (nested,)
    with pytest.raises(ValueError, match="nested"):
        pack(nested)
