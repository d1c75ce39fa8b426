"""Every frame of protocol v1, byte for byte, in both encodings and both directions.

The bytes are written down, not made: whoever changes one breaks a client that is out there.
"""

from typing import Any

import pytest
from msgspec import UNSET

from denizen.wire.v1 import CODECS
from denizen.wire.v1.frames import (
    CallFrame,
    ErrorFrame,
    EventFrame,
    FailureFrame,
    OutputFrame,
    SubscribeFrame,
)
from denizen.wire.values import pack

JSON, CBOR = CODECS["json"], CODECS["cbor"]

SENT_BY_CLIENT = [
    pytest.param(
        CallFrame(0, "increment", [2]),
        b'{"body":{"rr":{"i":0,"n":"increment","a":[2]}}}',
        "a1 64626f6479 a1 627272 a3 6169 00 616e 69696e6372656d656e74 6161 8102",
        id="call",
    ),
    pytest.param(
        CallFrame(300, "x", []),
        b'{"body":{"rr":{"i":300,"n":"x","a":[]}}}',
        "a1 64626f6479 a1 627272 a3 6169 19012c 616e 6178 6161 80",
        id="call without arguments",
    ),
    pytest.param(
        SubscribeFrame("changed", True),
        b'{"body":{"sr":{"e":"changed","s":true}}}',
        "a1 64626f6479 a1 627372 a2 6165 676368616e676564 6173 f5",
        id="subscribe",
    ),
    pytest.param(
        SubscribeFrame("changed", False),
        b'{"body":{"sr":{"e":"changed","s":false}}}',
        "a1 64626f6479 a1 627372 a2 6165 676368616e676564 6173 f4",
        id="unsubscribe",
    ),
]

SENT_BY_ACTOR = [
    pytest.param(
        OutputFrame(0, 4),
        b'{"body":{"ro":{"i":0,"o":4}}}',
        "a1 64626f6479 a1 62726f a2 6169 00 616f 04",
        id="output",
    ),
    pytest.param(
        OutputFrame(70_000, None),
        b'{"body":{"ro":{"i":70000,"o":null}}}',
        "a1 64626f6479 a1 62726f a2 6169 1a00011170 616f f6",
        id="output of nothing is there",
    ),
    pytest.param(
        ErrorFrame(7, "user_error", "No."),
        b'{"body":{"re":{"i":7,"c":"user_error","m":"No."}}}',
        "a1 64626f6479 a1 627265 a3 6169 07 6163 6a757365725f6572726f72 616d 634e6f2e",
        id="error",
    ),
    pytest.param(
        ErrorFrame(7, "c", "m", {"at": [1, "a"]}),
        b'{"body":{"re":{"i":7,"c":"c","m":"m","md":{"at":[1,"a"]}}}}',
        "a1 64626f6479 a1 627265 a4 6169 07 6163 6163 616d 616d 626d64 a1 626174 82 01 6161",
        id="error with metadata",
    ),
    pytest.param(
        EventFrame("changed", [4, "é"]),
        '{"body":{"ev":{"n":"changed","a":[4,"é"]}}}'.encode(),
        "a1 64626f6479 a1 626576 a2 616e 676368616e676564 6161 82 04 62c3a9",
        id="event",
    ),
    pytest.param(
        EventFrame("gone", []),
        b'{"body":{"ev":{"n":"gone","a":[]}}}',
        "a1 64626f6479 a1 626576 a2 616e 64676f6e65 6161 80",
        id="event without arguments",
    ),
    pytest.param(
        FailureFrame("message_too_long", "m"),
        b'{"body":{"er":{"c":"message_too_long","m":"m"}}}',
        "a1 64626f6479 a1 626572 a2 6163 706d6573736167655f746f6f5f6c6f6e67 616d 616d",
        id="failure",
    ),
    pytest.param(
        FailureFrame("c", "m", 0),
        b'{"body":{"er":{"c":"c","m":"m","md":0}}}',
        "a1 64626f6479 a1 626572 a3 6163 6163 616d 616d 626d64 00",
        id="failure with metadata",
    ),
]


def encoded(codec: Any, frame: Any) -> bytes:
    match frame:
        case CallFrame(id, action, args):
            return codec.encode_call(id, action, args)
        case SubscribeFrame(event, is_on):
            return codec.encode_subscribe(event, is_on)
        case OutputFrame(id, output):
            return codec.encode_output(id, pack(output))
        case ErrorFrame(id, code, message, metadata):
            return codec.encode_error(id, code, message, metadata)
        case EventFrame(name, args):
            return codec.encode_event(name, pack(args))
        case FailureFrame(code, message, metadata):
            return codec.encode_failure(code, message, metadata)
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize(("frame", "text", "binary"), SENT_BY_CLIENT)
def test_a_clients_frame(frame: Any, text: bytes, binary: str) -> None:
    assert encoded(JSON, frame) == text
    assert JSON.decode_client_frame(text) == frame
    assert encoded(CBOR, frame) == bytes.fromhex(binary)
    assert CBOR.decode_client_frame(bytes.fromhex(binary)) == frame


@pytest.mark.parametrize(("frame", "text", "binary"), SENT_BY_ACTOR)
def test_an_actors_frame(frame: Any, text: bytes, binary: str) -> None:
    assert encoded(JSON, frame) == text
    assert JSON.decode_server_frame(text) == frame
    assert encoded(CBOR, frame) == bytes.fromhex(binary)
    assert CBOR.decode_server_frame(bytes.fromhex(binary)) == frame


@pytest.mark.parametrize(
    ("frame", "hexed"),
    [
        (
            CallFrame(0, "increment", [2]),
            "b90001 64626f6479 b90001 627272 b90003 6169 00 616e 69696e6372656d656e74 6161 8102",
        ),
        (
            CallFrame(1, "put", [{"a": 1}, 1_700_000_000_000]),
            "b90001 64626f6479 b90001 627272 b90003 6169 01 616e 63707574 6161 82"
            "b90001 6161 01 fb4278bcfe56800000",
        ),
        (
            SubscribeFrame("changed", True),
            "b90001 64626f6479 b90001 627372 b90002 6165 676368616e676564 6173 f5",
        ),
    ],
)
def test_what_the_original_clients_encoder_writes(frame: Any, hexed: str) -> None:
    """cbor-x with records off: heads of maps are 16 bits wide, big numbers are floats."""
    assert CBOR.decode_client_frame(bytes.fromhex(hexed)) == frame


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("nothing", [None, UNSET])
def test_no_metadata_is_left_out_not_null(codec: Any, nothing: Any) -> None:
    assert b"md" not in codec.encode_error(1, "c", "m", nothing)
    assert b"md" not in codec.encode_failure("c", "m", nothing)
    assert codec.decode_server_frame(codec.encode_error(1, "c", "m", nothing)).metadata is UNSET


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_message_that_is_not_unicode_still_arrives(codec: Any) -> None:
    frame = codec.decode_server_frame(codec.encode_error(1, "c\udc80", "half \ud800 a pair"))
    assert (frame.code, frame.message) == ("c?", "half ? a pair")


def test_codecs_know_their_kind() -> None:
    assert [(name, codec.name, codec.is_binary) for name, codec in CODECS.items()] == [
        ("json", "json", False),
        ("cbor", "cbor", True),
    ]


@pytest.mark.parametrize(
    ("call_id", "head"),
    [
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_536, "1a00010000"),
        (2**32 - 1, "1affffffff"),
        # In 64 bits the client would read a BigInt, and find no call under it.
        (2**32, "fb41f0000000000000"),
        (2**53, "fb4340000000000000"),
    ],
)
def test_an_id_comes_back_as_a_number_that_finds_its_call(call_id: int, head: str) -> None:
    payload = CBOR.encode_output(call_id, pack(None))
    assert payload == bytes.fromhex(f"a164626f6479a162726fa26169{head}616ff6")
    assert CBOR.decode_server_frame(payload) == OutputFrame(call_id, None)
    call = CBOR.encode_call(call_id, "x", [])
    assert CBOR.decode_client_frame(call) == CallFrame(call_id, "x", [])
