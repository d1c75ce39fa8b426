"""What protocol v1 does to values: one table for what is sent, one for what is taken."""

from datetime import UTC, datetime, timedelta, timezone
from math import inf, isnan
from typing import Any

import pytest

from denizen.core.errors import MalformedMessage
from denizen.wire.v1 import CODECS, decode_json_args, encode_json_value
from denizen.wire.v1.frames import CallFrame
from denizen.wire.values import pack

JSON, CBOR = CODECS["json"], CODECS["cbor"]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

SENT = [
    # value, JSON, CBOR
    (None, "null", "f6"),
    (True, "true", "f5"),
    (False, "false", "f4"),
    (0, "0", "00"),
    (23, "23", "17"),
    (24, "24", "1818"),
    (-1, "-1", "20"),
    (-25, "-25", "3818"),
    (2**32 - 1, "4294967295", "1affffffff"),
    (2**32, "4294967296", "fb41f0000000000000"),
    (-(2**31), "-2147483648", "3a7fffffff"),
    (-(2**31) - 1, "-2147483649", "fbc1e0000000200000"),
    (2**53, "9007199254740992", "fb4340000000000000"),
    (-(2**53), "-9007199254740992", "fbc340000000000000"),
    (2**53 + 1, "9007199254740993", "1b0020000000000001"),
    (-(2**53) - 1, "-9007199254740993", "3b0020000000000000"),
    (2**64 - 1, "18446744073709551615", "1bffffffffffffffff"),
    (-(2**63), "-9223372036854775808", "3b7fffffffffffffff"),
    (1.5, "1.5", "fb3ff8000000000000"),
    (2.0, "2.0", "fb4000000000000000"),
    ("", '""', "60"),
    ("é\n", '"é\\n"', "63c3a90a"),
    ("x" * 24, f'"{"x" * 24}"', "7818" + "78" * 24),
    (b"", '""', "40"),
    (b"\x00\xff", '"AP8="', "4200ff"),
    (NOON, '"2026-11-23T12:00:00Z"', "74323032362d31312d32335431323a30303a30305a"),
    (
        NOON.astimezone(timezone(timedelta(hours=2))),
        '"2026-11-23T12:00:00Z"',
        "74323032362d31312d32335431323a30303a30305a",
    ),
    ([], "[]", "80"),
    ([1, [2]], "[1,[2]]", "82018102"),
    ({}, "{}", "a0"),
    ({"b": 1, "a": 2}, '{"b":1,"a":2}', "a2616201616102"),
    ({1: "one"}, '{"1":"one"}', "a16131636f6e65"),
]


@pytest.mark.parametrize(("value", "text", "hexed"), SENT)
def test_what_is_sent(value: Any, text: str, hexed: str) -> None:
    packed = pack(value)
    assert encode_json_value(packed).decode() == text
    assert JSON.encode_output(0, packed) == f'{{"body":{{"ro":{{"i":0,"o":{text}}}}}}}'.encode()
    assert CBOR.encode_output(0, packed).endswith(b"ao" + bytes.fromhex(hexed))
    event = pack([value])
    assert JSON.encode_event("n", event).endswith(f'"a":[{text}]}}}}}}'.encode())
    assert CBOR.encode_event("n", event).endswith(b"aa\x81" + bytes.fromhex(hexed))


TAKEN = [
    # CBOR, value
    pytest.param("1bffffffffffffffff", 2**64 - 1, id="64-bit BigInt"),
    pytest.param("3bffffffffffffffff", -(2**64), id="negative 64-bit BigInt"),
    pytest.param("c249010000000000000000", 2**64, id="BigInt beyond 64 bits"),
    pytest.param("c349010000000000000000", -(2**64) - 1, id="negative BigInt beyond 64 bits"),
    pytest.param("c240", 0, id="empty BigInt"),
    pytest.param("fb4278bcfe56800000", 1_700_000_000_000, id="Date.now()"),
    pytest.param("fb4000000000000000", 2, id="a float that is an integer"),
    pytest.param("fa40000000", 2, id="a narrow one"),
    pytest.param("f94000", 2, id="a half one"),
    pytest.param("fb8000000000000000", 0, id="-0"),
    pytest.param("fb3ff8000000000000", 1.5, id="a fraction"),
    pytest.param("fb43abc16d674ec800", 10**18, id="what JavaScript writes without exponent"),
    pytest.param("fb444b1ae4d6e2ef50", 1e21, id="what it writes with one"),
    pytest.param("fb7ff0000000000000", inf, id="Infinity"),
    pytest.param("f7", None, id="undefined"),
    pytest.param("82f7f7", [None, None], id="undefined in a list"),
    pytest.param("a16161f7", {"a": None}, id="undefined in an object"),
    pytest.param("c11a65920080", datetime(2024, 1, 1, tzinfo=UTC), id="Date, integer"),
    pytest.param(
        "c1fb41d9648020200000", datetime(2024, 1, 1, 0, 0, 0, 500_000, UTC), id="Date, float"
    ),
    pytest.param("c120", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), id="Date before 1970"),
    pytest.param("420001", b"\0\1", id="Buffer"),
    pytest.param("d840420001", b"\0\1", id="Uint8Array"),
    pytest.param("d844420001", b"\0\1", id="Uint8ClampedArray"),
    pytest.param("d841440001ffff", [1, 65535], id="uint16, big end first"),
    pytest.param("d84244000000ff", [255], id="uint32, big end first"),
    pytest.param("d84348ffffffffffffffff", [2**64 - 1], id="uint64, big end first"),
    pytest.param("d845440100ffff", [1, 65535], id="Uint16Array"),
    pytest.param("d84644ff000000", [255], id="Uint32Array"),
    pytest.param("d84748ffffffffffffffff", [2**64 - 1], id="BigUint64Array"),
    pytest.param("d848427f80", [127, -128], id="Int8Array"),
    pytest.param("d84942ff00", [-256], id="int16, big end first"),
    pytest.param("d84a44ffffffff", [-1], id="int32, big end first"),
    pytest.param("d84b48ffffffffffffffff", [-1], id="int64, big end first"),
    pytest.param("d84d4200ff", [-256], id="Int16Array"),
    pytest.param("d84e44feffffff", [-2], id="Int32Array"),
    pytest.param("d84f48feffffffffffffff", [-2], id="BigInt64Array"),
    pytest.param("d850423c00", [1.0], id="float16, big end first"),
    pytest.param("d851443fc00000", [1.5], id="float32, big end first"),
    pytest.param("d852483ff8000000000000", [1.5], id="float64, big end first"),
    pytest.param("d85442003c", [1.0], id="Float16Array"),
    pytest.param("d855440000c03f", [1.5], id="Float32Array"),
    pytest.param("d85648000000000000f83f", [1.5], id="Float64Array"),
    pytest.param("d9010283010203", [1, 2, 3], id="Set"),
    pytest.param("d90103a2616101616202", {"a": 1, "b": 2}, id="Map"),
    pytest.param("d90103a201616120f5", {"1": "a", "-1": True}, id="Map with number keys"),
    pytest.param("a1f501", {"true": 1}, id="Map with a boolean key"),
    pytest.param("b90001616101", {"a": 1}, id="object as cbor-x writes it"),
    pytest.param("bb0000000000000001616101", {"a": 1}, id="64-bit head"),
    pytest.param("bf616101ff", {"a": 1}, id="object of unknown length"),
    pytest.param("9f0102ff", [1, 2], id="array of unknown length"),
    pytest.param("9b00000000000000020102", [1, 2], id="array with a 64-bit head"),
    pytest.param("7f61616162ff", "ab", id="text of unknown length"),
    pytest.param("5f41004101ff", b"\0\1", id="bytes of unknown length"),
    pytest.param("7f6161ff", "a", id="text in one chunk"),
    pytest.param("7800", "", id="empty text, long head"),
    pytest.param("9f18181900181a00000018ff", [24, 24, 24], id="integers with long heads"),
]


def call_of(hexed: str) -> bytes:
    """A call with that argument, written as the original client does."""
    return bytes.fromhex(f"b9000164626f6479b90001627272b900036169 00616e6178616181{hexed}")


def shuffled_call_of(hexed: str) -> bytes:
    """The same with its keys in another order and the shortest heads: it takes the other way."""
    return bytes.fromhex(f"a164626f6479a1627272a3616e6178616900616181{hexed}")


@pytest.mark.parametrize("write", [call_of, shuffled_call_of])
@pytest.mark.parametrize(("hexed", "value"), TAKEN)
def test_what_is_taken_in_cbor(write: Any, hexed: str, value: Any) -> None:
    frame = CBOR.decode_client_frame(write(f"82{hexed}00"))
    assert frame == CallFrame(0, "x", [[value, 0]])
    assert repr(frame.args) == repr([[value, 0]]), "1 and 1.0 are equal, but not the same"


@pytest.mark.parametrize("write", [call_of, shuffled_call_of])
def test_nan_is_a_number_that_cbor_can_say(write: Any) -> None:
    """Whether an action takes it is the action's to judge; in JSON it can't be written."""
    frame = CBOR.decode_client_frame(write("fb7ff8000000000000"))
    assert isinstance(frame, CallFrame)
    assert isnan(frame.args[0])


@pytest.mark.parametrize(
    ("hexed", "args"),
    [
        ("81f7", []),
        ("8201f7", [1]),
        ("8401f7f7f7", [1]),
        ("83f701f7", [None, 1]),
        ("8201f6", [1, None]),
        ("8181f7", [[None]]),
        ("9f01f7ff", [1]),
    ],
)
def test_trailing_undefined_arguments_are_absent(hexed: str, args: list[Any]) -> None:
    for head in ("a3616900616e6178", "a3616e6178616900"):
        payload = bytes.fromhex(f"a164626f6479a1627272{head}6161{hexed}")
        assert CBOR.decode_client_frame(payload) == CallFrame(0, "x", args)


@pytest.mark.parametrize(
    ("hexed", "reason"),
    [
        ("c0743230", "it ends in the middle of a value"),
        ("c074" + b"2024-01-01T00:00:00Z".hex(), "tag 0 isn't understood"),
        ("c4820101", "tag 4 isn't understood"),
        ("c5820101", "tag 5 isn't understood"),
        ("d81c80", "tag 28 isn't understood"),
        ("d81d00", "tag 29 isn't understood"),
        ("d90100 81 63616263", "tag 256 isn't understood"),
        ("d81900", "tag 25 isn't understood"),
        ("d81e820102", "tag 30 isn't understood"),
        ("d8236161", "tag 35 isn't understood"),
        ("d82463616263", "tag 36 isn't understood"),
        ("d84c4100", "tag 76 isn't understood"),
        ("d85350" + "00" * 16, "tag 83 isn't understood"),
        ("d9d9f700", "tag 55799 isn't understood"),
        ("c16161", "a date (tag 1) that isn't a number of seconds"),
        ("c1f5", "a date (tag 1) that isn't a number of seconds"),
        ("c1fb7ff8000000000000", "a date (tag 1) outside the years 1 to 9999"),
        ("c1fb7ff0000000000000", "a date (tag 1) outside the years 1 to 9999"),
        ("c11bffffffffffffffff", "a date (tag 1) outside the years 1 to 9999"),
        ("c200", "a big integer that isn't at most 512 bytes"),
        ("c2590201" + "ff" * 513, "a big integer that isn't at most 512 bytes"),
        ("d840 80", "a byte array's tag on the wrong kind of value"),
        ("d84143000000", "a typed array that isn't whole elements of 2 bytes"),
        ("d84100", "a typed array that isn't whole elements of 2 bytes"),
        ("d90102a0", "a set's tag (258) on the wrong kind of value"),
        ("d9010380", "a map's tag (259) on the wrong kind of value"),
        ("a2616101616102", "a map holds a key twice"),
        ("a20101613102", "a map holds a key twice"),
        ("bf616101616102ff", "a map holds a key twice"),
        ("a1f601", "a map's key that is neither text nor an integer of 64 bits"),
        ("a1f701", "a map's key that is neither text nor an integer of 64 bits"),
        ("a1fb3ff800000000000001", "a map's key that is neither text nor an integer of 64 bits"),
        ("a1410001", "a map's key that is neither text nor an integer of 64 bits"),
        ("a1800001", "a map's key that is neither text nor an integer of 64 bits"),
        (
            "a1c24901000000000000000001",
            "a map's key that is neither text nor an integer of 64 bits",
        ),
        ("e0", "a simple value that isn't false, true, null or undefined"),
        ("f820", "a simple value that isn't false, true, null or undefined"),
        ("1c", "a head that CBOR reserves or that doesn't belong there"),
        ("1f", "a head that CBOR reserves or that doesn't belong there"),
        ("9d", "a head that CBOR reserves or that doesn't belong there"),
        ("df", "a head that CBOR reserves or that doesn't belong there"),
        ("ff", "a break where a value belongs"),
        ("61ff", "a text isn't UTF-8"),
        ("63eda080", "a text isn't UTF-8"),
        ("7f61c361a9ff", "a text isn't UTF-8"),
        ("7f4100ff", "a chunk of a string that isn't of its kind"),
        ("5f5f4100ffff", "a chunk of a string that isn't of its kind"),
        ("bf6161ff", "a break where a value belongs"),
        ("0000", "more bytes follow the value"),
    ],
)
def test_what_is_not_taken_in_cbor(hexed: str, reason: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        CBOR.decode_client_frame(call_of(hexed))
    assert caught.value.message == f"The frame isn't one of protocol v1: {reason}"
    assert caught.value.call_id == 0
    with pytest.raises(MalformedMessage) as caught:
        CBOR.decode_client_frame(shuffled_call_of(hexed))
    assert caught.value.message == f"The frame isn't one of protocol v1: {reason}"
    assert caught.value.call_id is None, "its id stands behind what can't be read"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0", 1.0),
        ("-0.0", -0.0),
        ("1e3", 1000.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\u0000"', "\0"),
        ('{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_what_is_taken_in_json(text: str, value: Any) -> None:
    payload = f'{{"body":{{"rr":{{"i":0,"n":"x","a":[{text}]}}}}}}'.encode()
    assert repr(JSON.decode_client_frame(payload).args) == repr([value])
    assert repr(decode_json_args(f'{{"args":[{text}]}}'.encode())) == repr([value])


def test_a_python_client_gets_its_floats_and_integers_back_in_cbor() -> None:
    """Only integers go as floats that JavaScript couldn't read otherwise; 2.0 stays what it was."""
    for value in (2.0, -1.0, 1e300, 2**40, -(2**53), 2**60, 0.5):
        frame = CBOR.decode_server_frame(CBOR.encode_output(0, pack(value)))
        assert repr(frame.output) == repr(value)


def test_undefined_from_a_server() -> None:
    head = bytes.fromhex("a164626f6479a1")
    output = CBOR.decode_server_frame(head + bytes.fromhex("62726fa2616900616ff7"))
    assert output.output is None
    event = CBOR.decode_server_frame(head + bytes.fromhex("626576a2616e6178616182f781f7"))
    assert event.args == [None, [None]]
    failure = CBOR.decode_server_frame(head + bytes.fromhex("626572a361636163616d616d626d6481f7"))
    assert failure.metadata == [None]
