"""Protocol v1 against random frames: round trips, a second opinion, and noise.

The second opinion on CBOR is cbor2, which shares no line with ours.
"""

from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from denizen.core.errors import MalformedMessage
from denizen.wire.v1 import CODECS, decode_json_args, encode_json_value
from denizen.wire.v1.cbor_reader import Reader
from denizen.wire.v1.cbor_tags import CborError
from denizen.wire.v1.cbor_writer import encode
from denizen.wire.v1.frames import (
    CALL_ID_MAX,
    CallFrame,
    ErrorFrame,
    EventFrame,
    FailureFrame,
    OutputFrame,
    SubscribeFrame,
)
from denizen.wire.values import pack, plain

CALL_IDS = st.integers(0, CALL_ID_MAX)
NAMES = st.text(max_size=32)
JSON_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=15,
    )


VALUES = trees(JSON_LEAVES)
FEW = settings(max_examples=50)
CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def as_javascript(value: Any) -> Any:
    """The value as it stands after a v1 client wrote it: it knows no float that is an integer."""
    match value:
        case float() if value.is_integer() and abs(value) < 1e21:
            return int(value)
        case list():
            return [as_javascript(item) for item in value]
        case dict():
            return {key: as_javascript(item) for key, item in value.items()}
    return value


@CODEC
@FEW
@given(call_id=CALL_IDS, action=NAMES, args=st.lists(VALUES, max_size=4))
def test_calls_come_back(codec: Any, call_id: int, action: str, args: list[Any]) -> None:
    expected = args if codec.name == "json" else as_javascript(args)
    frame = codec.decode_client_frame(codec.encode_call(call_id, action, args))
    assert repr(frame) == repr(CallFrame(call_id, action, expected))


@CODEC
@FEW
@given(event=NAMES, is_on=st.booleans())
def test_subscriptions_come_back(codec: Any, event: str, is_on: bool) -> None:
    payload = codec.encode_subscribe(event, is_on)
    assert codec.decode_client_frame(payload) == SubscribeFrame(event, is_on)


# A float beyond 32 bits that is an integer can't be told from an integer that goes as a float.
RETURNED = trees(JSON_LEAVES.filter(lambda value: type(value) is not float or abs(value) < 2**31))


@CODEC
@FEW
@given(call_id=CALL_IDS, value=RETURNED)
def test_outputs_come_back(codec: Any, call_id: int, value: Any) -> None:
    frame = codec.decode_server_frame(codec.encode_output(call_id, pack(value)))
    assert repr(frame) == repr(OutputFrame(call_id, value))


@CODEC
@FEW
@given(name=st.text(), args=st.lists(RETURNED, max_size=4))
def test_events_come_back(codec: Any, name: str, args: list[Any]) -> None:
    frame = codec.decode_server_frame(codec.encode_event(name, pack(args)))
    assert repr(frame) == repr(EventFrame(name, args))


@CODEC
@FEW
@given(call_id=CALL_IDS, code=st.text(), message=st.text(), metadata=RETURNED)
def test_errors_come_back(codec: Any, call_id: int, code: str, message: str, metadata: Any) -> None:
    held = UNSET if metadata is None else metadata
    frame = codec.decode_server_frame(codec.encode_error(call_id, code, message, metadata))
    assert repr(frame) == repr(ErrorFrame(call_id, code, message, held))
    frame = codec.decode_server_frame(codec.encode_failure(code, message, metadata))
    assert repr(frame) == repr(FailureFrame(code, message, held))


@FEW
@given(VALUES)
def test_the_json_of_a_value_is_that_of_the_frames(value: Any) -> None:
    text = encode_json_value(pack(value))
    assert repr(decode_json_args(b'{"args":[%b]}' % text)) == repr([value])


def integers_as_sent(value: Any) -> Any:
    """What the rules make of a value before any CBOR: big integers are floats, times are text."""
    match value:
        case bool():
            return value
        case int() if not -(2**31) <= value < 2**32 and abs(value) <= 2**53:
            return float(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case list():
            return [integers_as_sent(item) for item in value]
        case dict():
            return {key: integers_as_sent(item) for key, item in value.items()}
    return value


@FEW
@given(trees(JSON_LEAVES | st.binary() | st.datetimes(timezones=st.just(UTC))))
def test_cbor_out_by_a_second_opinion(value: Any) -> None:
    ours = encode(plain(value))
    assert ours == cbor2.dumps(integers_as_sent(value))


UNTYPED = Reader(64, lambda number: number)


@given(
    trees(
        JSON_LEAVES
        | st.binary()
        | st.integers(-(2**200), 2**200)
        | st.floats(allow_nan=False)
        | st.floats(width=16, allow_nan=False)
    ),
    st.booleans(),
    st.booleans(),
)
def test_cbor_in_by_a_second_opinion(value: Any, is_canonical: bool, is_indefinite: bool) -> None:
    payload = cbor2.dumps(value, canonical=is_canonical, indefinite_containers=is_indefinite)
    assert repr(UNTYPED.read(payload)) == repr(cbor2.loads(payload))


@settings(max_examples=200)
@given(st.binary(max_size=40) | st.lists(st.sampled_from(
    [b"\x81", b"\x9f", b"\xa1", b"\xbf", b"\xff", b"\x61a", b"\x7f", b"\x5f", b"\x41", b"\x18",
     b"\xc1", b"\xc2", b"\xd8\x45", b"\xd9\x01\x02", b"\xd9\x01\x03", b"\xf7", b"\xfb", b"\x00"]
), max_size=12).map(b"".join))  # fmt: skip
@example(b"\xff")
def test_what_we_take_of_noise_the_second_opinion_takes_too(payload: bytes) -> None:
    """We take less (tags, keys, trailing bytes), never anything that isn't CBOR."""
    try:
        UNTYPED.read(payload)
    except CborError:
        return
    cbor2.loads(payload)


VALID = [
    codec.encode_call(7, "increment", [1, "a", {"b": [2.5, None]}]) for codec in CODECS.values()
] + [codec.encode_subscribe("changed", True) for codec in CODECS.values()]


@CODEC
@settings(max_examples=200)
@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(str.encode)
    | st.builds(
        lambda frame, at, noise, cut: (
            frame[: at % len(frame)] + noise + frame[at % len(frame) + cut :]
        ),
        st.sampled_from(VALID),
        st.integers(0, 200),
        st.binary(max_size=4),
        st.integers(0, 4),
    )
)
def test_noise_is_malformed_or_a_frame(codec: Any, payload: bytes) -> None:
    for decode in (codec.decode_client_frame, codec.decode_server_frame, decode_json_args):
        try:
            decode(payload)
        except MalformedMessage as error:
            call_id = error.call_id
        else:
            call_id = None
        assert call_id is None or 0 <= call_id <= CALL_ID_MAX
