"""Hostile and broken frames, each with its exact answer: message, and whose call it was.

Nothing but `MalformedMessage` may come out of a decoder, in time and memory that the frame's own
length bounds.
"""

import json
import tracemalloc
from time import perf_counter
from typing import Any

import pytest

from denizen.core.errors import MalformedMessage
from denizen.core.limits import DEFAULT, Limits
from denizen.wire.v1 import CODECS, decode_json_args, make_codecs
from denizen.wire.v1.cbor_writer import encode as to_cbor
from denizen.wire.v1.frames import CallFrame, SubscribeFrame

JSON, CBOR = CODECS["json"], CODECS["cbor"]
BYTES = DEFAULT.frame_bytes_max
CALL = b'{"body":{"rr":{"i":5,"n":"x","a":[%b]}}}'
CBOR_CALL = bytes.fromhex("a164626f6479a1627272a3616905616e61786161")


def refused(codec: Any, payload: bytes) -> tuple[str, int | None]:
    with pytest.raises(MalformedMessage) as caught:
        codec.decode_client_frame(payload)
    prefix = "The frame isn't one of protocol v1: "
    assert caught.value.message.startswith(prefix)
    assert caught.value.code == "malformed_message"
    return caught.value.message.removeprefix(prefix), caught.value.call_id


SHAPES = [
    # body of the frame as plain data, reason, call id; the same in both encodings
    ([], "Expected `object`, got `array`", None),
    (None, "Expected `object`, got `null`", None),
    (1, "Expected `object`, got `int`", None),
    ({}, "Object missing required field `body`", None),
    ({"body": None}, "Expected `object`, got `null` - at `$.body`", None),
    ({"body": {}}, "`body` holds neither `rr` nor `sr`", None),
    ({"body": {"xx": {}}}, "Object contains unknown field `xx` - at `$.body`", None),
    ({"body": {"ro": {"i": 1, "o": 1}}}, "Object contains unknown field `ro` - at `$.body`", None),
    ({"body": {"rr": None}}, "Expected `object`, got `null` - at `$.body.rr`", None),
    ({"body": {"rr": {}}}, "Object missing required field `i` - at `$.body.rr`", None),
    (
        {"body": {"rr": {"i": 1, "n": "x"}}},
        "Object missing required field `a` - at `$.body.rr`",
        1,
    ),
    (
        {"body": {"rr": {"n": "x", "a": [], "i": 2**53}}},
        None,
        2**53,
    ),
    (
        {"body": {"rr": {"i": -1, "n": "x", "a": []}}},
        "Expected `int` >= 0 - at `$.body.rr.i`",
        None,
    ),
    (
        {"body": {"rr": {"i": 2**53 + 1, "n": "x", "a": []}}},
        "Expected `int` <= 9007199254740992 - at `$.body.rr.i`",
        None,
    ),
    (
        {"body": {"rr": {"i": 1.5, "n": "x", "a": []}}},
        "Expected `int`, got `float` - at `$.body.rr.i`",
        None,
    ),
    (
        {"body": {"rr": {"i": "1", "n": "x", "a": []}}},
        "Expected `int`, got `str` - at `$.body.rr.i`",
        None,
    ),
    (
        {"body": {"rr": {"i": True, "n": "x", "a": []}}},
        "Expected `int`, got `bool` - at `$.body.rr.i`",
        None,
    ),
    (
        {"body": {"rr": {"i": 3, "n": 5, "a": []}}},
        "Expected `str`, got `int` - at `$.body.rr.n`",
        3,
    ),
    (
        {"body": {"rr": {"i": 3, "n": "x", "a": {}}}},
        "Expected `array`, got `object` - at `$.body.rr.a`",
        3,
    ),
    (
        {"body": {"rr": {"i": 3, "n": "x", "a": None}}},
        "Expected `array`, got `null` - at `$.body.rr.a`",
        3,
    ),
    (
        {"body": {"rr": {"a": [], "n": 5, "i": 3}}},
        "Expected `str`, got `int` - at `$.body.rr.n`",
        3,
    ),
    (
        {"body": {"rr": {"i": 3, "n": "x", "a": []}, "zz": 1}},
        "Object contains unknown field `zz` - at `$.body`",
        3,
    ),
    (
        {"body": {"rr": {"i": 3, "n": "x", "a": []}, "sr": {"e": "x", "s": True}}},
        "`body` holds both `rr` and `sr`, send them apart",
        3,
    ),
    (
        {"body": {"rr": {"i": 3, "n": "é" * 65, "a": []}}},
        "the action's name is over 128 bytes",
        3,
    ),
    (
        {"body": {"sr": {"e": "é" * 65, "s": True}}},
        "the event's name is over 128 bytes",
        None,
    ),
    (
        {"body": {"sr": {"e": "x"}}},
        "Object missing required field `s` - at `$.body.sr`",
        None,
    ),
    (
        {"body": {"sr": {"e": "x", "s": 1}}},
        "Expected `bool`, got `int` - at `$.body.sr.s`",
        None,
    ),
    (
        {"body": {"sr": {"e": None, "s": True}}},
        "Expected `str`, got `null` - at `$.body.sr.e`",
        None,
    ),
]


def to_json(value: Any) -> bytes:

    return json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(("frame", "reason", "call_id"), SHAPES)
@pytest.mark.parametrize(("codec", "write"), [(JSON, to_json), (CBOR, to_cbor)], ids=CODECS)
def test_a_frame_of_the_wrong_shape(
    codec: Any, write: Any, frame: Any, reason: str | None, call_id: int | None
) -> None:
    if reason is None:
        assert codec.decode_client_frame(write(frame)).id == call_id
    else:
        assert refused(codec, write(frame)) == (reason, call_id)


@pytest.mark.parametrize(("codec", "write"), [(JSON, to_json), (CBOR, to_cbor)], ids=CODECS)
def test_keys_that_v1_does_not_know_are_passed_over_inside_a_frame(codec: Any, write: Any) -> None:
    call = {"i": 3, "n": "x", "a": [], "later": {"a": 1}}
    assert codec.decode_client_frame(write({"v": 9, "body": {"rr": call}})) == CallFrame(3, "x", [])
    subscription = {"e": "x", "s": True, "later": 1}
    frame = codec.decode_client_frame(write({"body": {"sr": subscription}}))
    assert frame == SubscribeFrame("x", True)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_names_at_their_limit(codec: Any) -> None:
    for name in ("x" * 128, "é" * 64, ""):
        assert codec.decode_client_frame(codec.encode_call(0, name, [])).action == name
        assert codec.decode_client_frame(codec.encode_subscribe(name, True)).event == name


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_reason_that_quotes_the_frame_is_cut(codec: Any) -> None:
    write = to_json if codec is JSON else to_cbor
    reason, _ = refused(codec, write({"body": {"k" * 60_000: 1}}))
    assert len(reason) == 201
    assert reason.endswith("…")


NOT_JSON = [
    (b"", "Input data was truncated", None),
    (b" ", "Input data was truncated", None),
    (b"\xa1dbody", "'utf-8' codec can't decode byte 0xa1 in position 0: invalid start byte", None),
    (b"\xef\xbb\xbf" + CALL % b"", "JSON is malformed: invalid character (byte 0)", None),
    (CALL % b"1" + b"}", "JSON is malformed: trailing characters (byte 40)", 5),
    (CALL % b"1" + b"\0", "JSON is malformed: trailing characters (byte 40)", 5),
    (CALL % b"NaN", "JSON is malformed: invalid character (byte 34)", 5),
    (CALL % b"Infinity", "JSON is malformed: invalid character (byte 34)", 5),
    (CALL % b"1e999", "Number out of range - at `$.body.rr.a[0]`", 5),
    (CALL % (b"9" * 5_000), "Integer value out of range - at `$.body.rr.a[0]`", 5),
    (CALL % b"01", "JSON is malformed: invalid number (byte 35)", 5),
    (CALL % b"1,", "JSON is malformed: trailing comma in array (byte 36)", 5),
    (CALL % b'"\n"', "JSON is malformed: invalid character (byte 35)", 5),
    (
        CALL % b'"\xff"',
        "'utf-8' codec can't decode byte 0xff in position 35: invalid start byte",
        5,
    ),
    (
        CALL % b'"\xed\xa0\x80"',
        "'utf-8' codec can't decode byte 0xed in position 35: invalid continuation byte",
        5,
    ),
    (
        b'{"x":"\xff","body":{"rr":{"i":5,"n":"x","a":[]}}}',
        "'utf-8' codec can't decode byte 0xff in position 6: invalid start byte",
        None,
    ),
    (
        CALL % b'"\\ud800\\u0041"',
        "JSON is malformed: invalid utf-16 surrogate pair (byte 47)",
        5,
    ),
    (b'{"body":{"rr":{"i":5,"n":"x","a":["', "Input data was truncated", 5),
    (b'{"body":{"rr":{"i":5', "Input data was truncated", None),
    (b'{"body":{"rr":{"i":5.0,"n":"x","a":[]}}}', None, None),
    (b'{"body":{"rr":{"i":9007199254740993,"n":', "Expected `int` <= 9007199254740992", None),
    (b'{"body":{"rr":{"i":05,', "JSON is malformed: invalid number (byte 20)", None),
]


@pytest.mark.parametrize(("payload", "reason", "call_id"), NOT_JSON)
def test_text_that_is_not_json(payload: bytes, reason: str | None, call_id: int | None) -> None:
    said, said_id = refused(JSON, payload)
    assert said_id == call_id
    assert reason is None or said.startswith(reason)


NOT_CBOR = [
    ("", "it ends in the middle of a value", None),
    ("7b", "it ends in the middle of a value", None),
    ("a164626f6479a1627272a3616905616e6178616181", "it ends in the middle of a value", 5),
    ("a164626f6479a1627272a3616905616e6178", "it ends in the middle of a value", 5),
    ("a164626f6479a1627272a36169", "it ends in the middle of a value", None),
    ("a164626f6479a1627272a3616919", "it ends in the middle of a value", None),
    ("bf64626f6479bf627272bf616905616e6178616181", "it ends in the middle of a value", 5),
    ("b80164626f6479b801627272b803616905ff0000000000", "a break where a value belongs", 5),
    ("a164626f6479a1627272a3616905616e6178616180a0", "more bytes follow the value", 5),
]


@pytest.mark.parametrize(("hexed", "reason", "call_id"), NOT_CBOR)
def test_bytes_that_are_not_cbor(hexed: str, reason: str, call_id: int | None) -> None:
    assert refused(CBOR, bytes.fromhex(hexed)) == (reason, call_id)


WRONG_KINDS = [
    # i, n, a in CBOR; reason; call id
    ("f7", "6178", "80", "Expected `int`, got `undefined` - at `$.body.rr.i`", None),
    ("05", "f7", "80", "Expected `str`, got `undefined` - at `$.body.rr.n`", 5),
    ("05", "6178", "f7", "Expected `array`, got `undefined` - at `$.body.rr.a`", 5),
    ("05", "4178", "80", "Expected `str`, got `bytes` - at `$.body.rr.n`", 5),
    ("05", "c105", "80", "Expected `str`, got `datetime` - at `$.body.rr.n`", 5),
    ("05", "6178", "4101", "Expected `array`, got `bytes` - at `$.body.rr.a`", 5),
    ("4105", "6178", "80", "Expected `int`, got `bytes` - at `$.body.rr.i`", None),
    (
        "fb7ff8000000000000",
        "6178",
        "80",
        "Expected `int`, got `float` - at `$.body.rr.i`",
        None,
    ),
    (
        "c25901f4" + "ff" * 500,
        "6178",
        "80",
        "Expected `int` <= 9007199254740992 - at `$.body.rr.i`",
        None,
    ),
    ("c341ff", "6178", "80", "Expected `int` >= 0 - at `$.body.rr.i`", None),
]


@pytest.mark.parametrize(("i", "n", "a", "reason", "call_id"), WRONG_KINDS)
def test_what_only_cbor_can_get_wrong(
    i: str, n: str, a: str, reason: str, call_id: int | None
) -> None:
    body = bytes.fromhex(f"a164626f6479a1627272a36169{i}616e{n}6161{a}")
    assert refused(CBOR, body) == (reason, call_id)
    shuffled = bytes.fromhex(f"a164626f6479a1627272a36161{a}616e{n}6169{i}")
    assert refused(CBOR, shuffled) == (reason, call_id)


TOO_DEEP = "it is nested more than 64 levels deep"


@pytest.mark.parametrize("count", [61, 100, 500, 1_500, 10_000, 30_000])
def test_deep_json(count: int) -> None:
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opened * count + (b"1" if opened != b"[" else b"") + closed * count
        assert refused(JSON, CALL % nested) == (TOO_DEEP, 5)
        with pytest.raises(MalformedMessage, match="more than 64 levels"):
            decode_json_args(b'{"args":[[[%b]]]}' % nested)


def test_a_million_levels_of_json() -> None:
    assert refused(JSON, b"[" * 1_000_000) == (TOO_DEEP, None)
    assert refused(JSON, b'{"a":' * 200_000) == (TOO_DEEP, None)
    assert refused(JSON, b'{"body":{"rr":{"i":5,"n":"x","a":' + b"[" * 1_000_000) == (TOO_DEEP, 5)
    with pytest.raises(MalformedMessage):
        JSON.decode_server_frame(b"[" * 1_000_000)


@pytest.mark.parametrize("opened", ["81", "9f", "a16161", "bf6161", "d90102", "c1", "d9010281"])
def test_deep_cbor(opened: str) -> None:
    for count in (65, 500, BYTES // (len(opened) // 2)):
        assert refused(CBOR, CBOR_CALL + b"\x81" + bytes.fromhex(opened) * count) == (TOO_DEEP, 5)
        assert refused(CBOR, bytes.fromhex(opened) * count + b"\0")[0] == TOO_DEEP
    million = bytes.fromhex(opened) * 1_000_000
    assert refused(CBOR, million) == (TOO_DEEP, None)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_the_depth_limit_counts_the_whole_frame(codec: Any) -> None:
    """Frame, `body`, `rr`, `a` are four levels."""
    frame = codec.decode_client_frame(codec.encode_call(0, "x", [nested(60)]))
    assert frame.args == [nested(60)]
    assert refused(codec, codec.encode_call(0, "x", [nested(61)])) == (TOO_DEEP, 0)
    small = make_codecs(Limits(nesting_max=4))[codec.name]
    assert small.decode_client_frame(small.encode_call(0, "x", [1])).args == [1]
    assert refused(small, small.encode_call(0, "x", [[]]))[1] == 0


def test_brackets_in_text_nest_nothing() -> None:
    for text in (b"[" * 10_000, b'\\"[{' * 1_000, b"\\\\", b"]}" * 100):
        frame = JSON.decode_client_frame(CALL % (b'"' + text + b'","' + b"[" * 200 + b'"'))
        assert frame.args[1] == "[" * 200
    shallow = b"[]," * 10_000 + b"[]"
    assert JSON.decode_client_frame(CALL % shallow).args == [[]] * 10_001


@pytest.mark.parametrize(
    "head",
    [
        "9b1000000000000000",
        "9bffffffffffffffff",
        "9affffffff",
        "bb1000000000000000",
        "bbffffffffffffffff",
        "5b1000000000000000",
        "5bffffffffffffffff",
        "7b1000000000000000",
        "7affffffff",
        "5f5bffffffffffffffff",
        "d901029b1000000000000000",
        "c25b1000000000000000",
        "d8415b1000000000000000",
    ],
)
def test_a_head_that_claims_more_than_there_is(head: str) -> None:
    tracemalloc.start()
    try:
        said = refused(CBOR, CBOR_CALL + b"\x81" + bytes.fromhex(head) + b"\0" * 50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert said == ("it ends in the middle of a value", 5)
    assert peak < 100_000


def full(head: bytes, unit: bytes, tail: bytes = b"") -> bytes:
    room = BYTES - len(head) - len(tail)
    return head + unit * (room // len(unit)) + tail


HEAVY = [
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\x01", b"\xff"), id="small integers"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\x9f\xff", b"\xff"), id="empty arrays"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\xbf\xff", b"\xff"), id="empty maps"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\x60", b"\xff"), id="empty texts"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\xc2\x41\xff", b"\xff"), id="big integers"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\xf7", b"\x01\xff"), id="undefined"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f", b"\xf7", b"\xff"), id="trailing undefined"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f\x7f", b"\x61a", b"\xff\xff"), id="chunks"),
    pytest.param(CBOR, full(CBOR_CALL + b"\x9f\x7f", b"\x60", b"\xff\xff"), id="empty chunks"),
    pytest.param(
        CBOR,
        CBOR_CALL + b"\x81\xd8\x48\x59\xff\x00" + b"\x7f" * 0xFF00,
        id="a typed array",
    ),
    pytest.param(JSON, full(CALL[:34], b"1,", b"1]}}}"), id="JSON integers"),
    pytest.param(JSON, full(CALL[:34], b"[],", b"1]}}}"), id="JSON arrays"),
    pytest.param(JSON, full(CALL[:34], b'"",', b'""]}}}'), id="JSON texts"),
    pytest.param(JSON, full(CALL[:34] + b'"', b'\\"', b'"]}}}'), id="JSON quotes"),
    pytest.param(JSON, full(CALL[:34], b"9" * 4_300 + b",", b"1]}}}"), id="JSON digits"),
]


@pytest.mark.parametrize(("codec", "payload"), HEAVY)
def test_the_heaviest_frames_cost_no_more_than_their_bytes(codec: Any, payload: bytes) -> None:
    """Milliseconds and a few megabytes for 64 KiB, on any machine; quadratic ones take minutes."""
    assert BYTES - 5_000 < len(payload) <= BYTES
    begun_at = perf_counter()
    assert isinstance(codec.decode_client_frame(payload), CallFrame)
    assert perf_counter() - begun_at < 1.0
    tracemalloc.start()
    try:
        codec.decode_client_frame(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * BYTES


REFUSED_IN_LINEAR_TIME = [
    pytest.param(b'"\\' * (BYTES // 2), id="escaped quotes"),
    pytest.param(b'"\\"' * (BYTES // 3), id="quotes"),
    pytest.param(b"[" * 65 + b'"\\' * 30_000, id="unended text"),
    pytest.param(b"[" * 65 + b'"' + b"\\\\" * 30_000, id="backslashes"),
    pytest.param(b"[" * 65 + b'"a\\"' * 15_000, id="texts that never end"),
    pytest.param(b"{ " * (BYTES // 2), id="spaces"),
    pytest.param(b" " * BYTES, id="nothing but spaces"),
    pytest.param(b'{"body"' + b" " * 60_000, id="spaces in the head"),
]


@pytest.mark.parametrize("payload", REFUSED_IN_LINEAR_TIME)
def test_text_that_would_lead_a_backtracker_astray(payload: bytes) -> None:
    begun_at = perf_counter()
    refused(JSON, payload)
    assert perf_counter() - begun_at < 1.0


@pytest.mark.parametrize(
    ("body", "args"),
    [
        (b"", []),
        (b"{}", []),
        (b'{"args":[]}', []),
        (b'{"args":[2,{"a":null}]}', [2, {"a": None}]),
        (b'{"args":[1],"more":2}', [1]),
        (b' {"args" : [ 1 ] } ', [1]),
    ],
)
def test_the_body_of_a_plain_call(body: bytes, args: list[Any]) -> None:
    assert decode_json_args(body) == args


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" ", "Input data was truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"args":null}', "Expected `array`, got `null` - at `$.args`"),
        (b'{"args":{"a":1}}', "Expected `array`, got `object` - at `$.args`"),
        (b"args=1", "JSON is malformed: invalid character (byte 0)"),
        (b'{"args":["\xff"]}', "'utf-8' codec can't decode byte 0xff in position 10"),
    ],
)
def test_a_body_that_is_none(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_json_args(body)
    assert caught.value.message.startswith(f'The body isn\'t JSON like {{"args": [...]}}: {reason}')
    assert caught.value.call_id is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"body":{}}', "`body` holds 0 of `ro`, `re`, `ev` and `er`, not one"),
        (
            b'{"body":{"ro":{"i":1,"o":1},"ev":{"n":"x","a":[]}}}',
            "`body` holds 2 of `ro`, `re`, `ev` and `er`, not one",
        ),
        (b'{"body":{"ro":{"i":1}}}', "Object missing required field `o` - at `$.body.ro`"),
        (b'{"body":{"hi":{}}}', "Object contains unknown field `hi` - at `$.body`"),
        (b'{"body":{"re":{"i":1,"c":1,"m":""}}}', "Expected `str`, got `int` - at `$.body.re.c`"),
    ],
)
def test_what_a_client_refuses_from_an_actor(text: bytes, reason: str) -> None:

    for codec, payload in ((JSON, text), (CBOR, to_cbor(json.loads(text)))):
        with pytest.raises(MalformedMessage) as caught:
            codec.decode_server_frame(payload)
        assert caught.value.message == f"The frame isn't one of protocol v1: {reason}"
        assert caught.value.call_id is None
