"""Protocol v1 in CBOR: binary frames, the original client's default.

The values are `cbor_reader`'s and `cbor_writer`'s; here is what they mean in a frame: where an
`undefined` is null and where absent, and which floats are integers.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import UNSET

from denizen.core.limits import DEFAULT, Limits
from denizen.wire.v1 import cbor_writer as writer
from denizen.wire.v1.cbor_reader import UNDEFINED, Reader
from denizen.wire.v1.cbor_tags import CborError
from denizen.wire.v1.codec import (
    SERVER_NESTING_MAX,
    client_frame,
    malformed,
    plain_metadata,
    sendable,
    server_frame,
)
from denizen.wire.v1.frames import (
    CALL_ID_MAX,
    CallFrame,
    ClientEnvelope,
    ClientFrame,
    EventFrame,
    IdentifiedEnvelope,
    OutputFrame,
    ServerEnvelope,
    ServerFrame,
)
from denizen.wire.values import plain, unpack

_UNDEFINED_BYTE = 0xF7
_TEXT = 0x60

# A call as clients write it, up to its action's name of less than 24 bytes: the value of `i` and
# the size of the name are caught. Map heads are short or, by cbor-x, 16 bits wide.
_USUAL_CALL = re.compile(
    rb"(?:\xa1|\xb9\x00\x01)dbody(?:\xa1|\xb9\x00\x01)brr(?:\xa3|\xb9\x00\x03)ai"
    rb"(?:([\x00-\x17])|\x18(.)|\x19(..)|\x1a(....))an([\x60-\x77])",
    re.DOTALL,
)
_CALL_HEAD = re.compile(
    rb"(?:[\xa1-\xb7\xbf]|\xb8.|\xb9..)dbody(?:[\xa1-\xb7\xbf]|\xb8.|\xb9..)"
    rb"brr(?:[\xa1-\xb7\xbf]|\xb8.|\xb9..)ai",
    re.DOTALL,
)
_CALL_DEPTH = 3

# The frames that there are most of, up to their first value: `d` is the head of four letters.
_CALL = b"\xa1dbody\xa1brr\xa3ai"
_OUTPUT = b"\xa1dbody\xa1bro\xa2ai"
_EVENT = b"\xa1dbody\xa1bev\xa2an"


class CborCodec:
    """The `cbor` encoding of protocol v1."""

    name: Final = "cbor"
    is_binary: Final = True

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._name_max = limits.action_name_bytes_max
        self._client_reader = Reader(limits.nesting_max, number_of_client)
        self._server_reader = Reader(SERVER_NESTING_MAX, number_of_server)

    def decode_client_frame(self, payload: bytes) -> ClientFrame:
        """See `Codec`."""
        try:
            frame = self._usual_call(payload) or self._any_frame(payload)
        except CborError as error:
            raise malformed(error, self._call_id_at_head(payload)) from None
        if _UNDEFINED_BYTE in payload and isinstance(frame, CallFrame):
            _drop_trailing_undefined(frame.args)
            _undefined_to_null(frame.args)
        return frame

    def encode_output(self, call_id: int, packed: bytes) -> bytes:
        """See `Codec`."""
        value = writer.encode(unpack(packed))
        return b"%b%bao%b" % (_OUTPUT, writer.encode_integer(call_id), value)

    def encode_error(self, call_id: int, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """See `Codec`."""
        failure = _failure(code, message, metadata)
        return writer.encode({"body": {"re": {"i": call_id, **failure}}})

    def encode_event(self, name: str, packed_args: bytes) -> bytes:
        """See `Codec`."""
        args = writer.encode(unpack(packed_args))
        return b"%b%baa%b" % (_EVENT, writer.encode_text(name), args)

    def encode_failure(self, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """See `Codec`."""
        return writer.encode({"body": {"er": _failure(code, message, metadata)}})

    def encode_call(self, call_id: int, action: str, args: list[Any]) -> bytes:
        """See `Codec`."""
        return b"%b%ban%baa%b" % (
            _CALL,
            writer.encode_integer(call_id),
            writer.encode_text(action),
            writer.encode(plain(args)),
        )

    def encode_subscribe(self, event: str, is_on: bool) -> bytes:
        """See `Codec`."""
        return writer.encode({"body": {"sr": {"e": event, "s": is_on}}})

    def decode_server_frame(self, payload: bytes) -> ServerFrame:
        """See `Codec`."""
        try:
            tree = self._server_reader.read(payload)
            frame = server_frame(msgspec.convert(tree, ServerEnvelope).body)
        except (CborError, msgspec.ValidationError) as error:
            raise malformed(error) from None
        if _UNDEFINED_BYTE not in payload:
            return frame
        if isinstance(frame, EventFrame):
            _undefined_to_null(frame.args)
        elif isinstance(frame, OutputFrame):
            return OutputFrame(frame.id, _undefined_to_null(frame.output))
        elif frame.metadata is not UNSET:
            _undefined_to_null(frame.metadata)
        return frame

    def _usual_call(self, payload: bytes) -> CallFrame | None:
        """A call that is written the way clients do, read straight through; None for any other."""
        found = _USUAL_CALL.match(payload)
        if found is None:
            return None
        begin = found.end()
        size = payload[begin - 1] - _TEXT
        end = begin + size
        name = payload[begin:end]
        if not (size <= self._name_max and name.isascii() and payload.startswith(b"aa", end)):
            return None
        args, at = self._client_reader.read_at(payload, end + 2, _CALL_DEPTH)
        if type(args) is not list or at != len(payload):
            return None
        call_id = int.from_bytes(found[1] or found[2] or found[3] or found[4], "big")
        return CallFrame(call_id, name.decode(), args)

    def _any_frame(self, payload: bytes) -> ClientFrame:
        tree = self._client_reader.read(payload)
        try:
            body = msgspec.convert(tree, ClientEnvelope).body
        except msgspec.ValidationError as error:
            reason = str(error).replace("msgspec.UnsetType", "undefined")
            raise malformed(reason, _call_id_in(tree)) from None
        return client_frame(body, self._limits)

    def _call_id_at_head(self, payload: bytes) -> int | None:
        """The id where clients put it, in a frame whose rest need not even be CBOR."""
        found = _CALL_HEAD.match(payload)
        if found is None:
            return None
        try:
            call_id, _ = self._client_reader.read_at(payload, found.end(), _CALL_DEPTH)
        except CborError:
            return None
        return call_id if type(call_id) is int and 0 <= call_id <= CALL_ID_MAX else None


def number_of_client(value: float) -> int | float:
    """What a JavaScript client means by a float: an integer where JSON would have written one.

    From 1e21 on JavaScript writes an exponent, which is a float there too.
    """
    return int(value) if value.is_integer() and -1e21 < value < 1e21 else value


def number_of_server(value: float) -> int | float:
    """What an actor means by a float: an integer only where `cbor_writer` makes floats of them."""
    if not value.is_integer() or -(2**31) <= value < 2**32:
        return value
    return int(value) if abs(value) <= writer.EXACT_MAX else value


def _failure(code: str, message: str, metadata: Any) -> dict[str, Any]:
    failure: dict[str, Any] = {"c": sendable(code), "m": sendable(message)}
    if (sent := plain_metadata(metadata)) is not UNSET:
        failure["md"] = sent
    return failure


def _call_id_in(tree: Any) -> int | None:
    """The id of a call that is malformed elsewhere, None where it can't be read."""
    try:
        return msgspec.convert(tree, IdentifiedEnvelope).call_id
    except msgspec.ValidationError:
        return None


def _drop_trailing_undefined(args: list[Any]) -> None:
    """JavaScript passes `undefined` for a parameter that it leaves out."""
    while args and args[-1] is UNDEFINED:
        args.pop()


def _undefined_to_null(value: Any) -> Any:
    """The value with null for every `undefined` in it, in place."""
    if value is UNDEFINED:
        return None
    if type(value) is list:
        value[:] = map(_undefined_to_null, value)
    elif type(value) is dict:
        for key, item in value.items():
            value[key] = _undefined_to_null(item)
    return value
