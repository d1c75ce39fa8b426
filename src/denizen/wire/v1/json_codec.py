"""Protocol v1 in JSON: text frames, UTF-8. Also the JSON of plain HTTP, by the same rules.

Bytes are base64 text, times RFC 3339 text, integers as they are. Of two equal keys the last one
counts, as in every JavaScript. The depth is judged before a decoder that recurses sees the payload.
"""

import re
from itertools import accumulate
from typing import Any, Final

import msgspec
from msgspec import UNSET

from denizen.core.errors import MalformedMessage
from denizen.core.limits import DEFAULT, Limits
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
    ErrorFrame,
    FailureFrame,
    IdentifiedEnvelope,
    ServerEnvelope,
    ServerFrame,
    SubscribeFrame,
)
from denizen.wire.values import plain, unpack

_encode = msgspec.json.Encoder().encode
_decode_client = msgspec.json.Decoder(ClientEnvelope).decode
_decode_id = msgspec.json.Decoder(IdentifiedEnvelope).decode
_decode_server = msgspec.json.Decoder(ServerEnvelope).decode

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_TO_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))

_CALL_HEAD = re.compile(
    rb'\s*\{\s*"body"\s*:\s*\{\s*"rr"\s*:\s*\{\s*"i"\s*:\s*(0|[1-9][0-9]{0,15})\s*[,}]'
)


class JsonCodec:
    """The `json` encoding of protocol v1."""

    name: Final = "json"
    is_binary: Final = False

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._nesting_max = limits.nesting_max
        self._shallow_bytes = 2 * limits.nesting_max
        # A name of so few characters is within its limit in bytes, whatever they are.
        self._short_action = limits.action_name_bytes_max // 4

    def decode_client_frame(self, payload: bytes) -> ClientFrame:
        """See `Codec`."""
        # Most frames are spared: what closes all that it opens can't be deep in so few bytes.
        is_usual = len(payload) <= self._shallow_bytes and payload.isascii()
        if not is_usual and (flaw := _flaw(payload, self._nesting_max)) is not None:
            raise malformed(flaw, _call_id_at_head(payload))
        try:
            body = _decode_client(payload).body
        except msgspec.DecodeError as error:
            raise malformed(error, _call_id(payload)) from None
        call = body.rr
        if call and body.sr is UNSET and len(call.action) <= self._short_action:
            return call
        return client_frame(body, self._limits)

    def encode_output(self, call_id: int, packed: bytes) -> bytes:
        """See `Codec`."""
        return b'{"body":{"ro":{"i":%b,"o":%b}}}' % (_encode(call_id), _encode(unpack(packed)))

    def encode_error(self, call_id: int, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """See `Codec`."""
        frame = ErrorFrame(call_id, sendable(code), sendable(message), plain_metadata(metadata))
        return b'{"body":{"re":%b}}' % _encode(frame)

    def encode_event(self, name: str, packed_args: bytes) -> bytes:
        """See `Codec`."""
        return b'{"body":{"ev":{"n":%b,"a":%b}}}' % (
            _encode(name),
            encode_json_value(packed_args),
        )

    def encode_failure(self, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """See `Codec`."""
        frame = FailureFrame(sendable(code), sendable(message), plain_metadata(metadata))
        return b'{"body":{"er":%b}}' % _encode(frame)

    def encode_call(self, call_id: int, action: str, args: list[Any]) -> bytes:
        """See `Codec`."""
        return b'{"body":{"rr":%b}}' % _encode(CallFrame(call_id, action, plain(args)))

    def encode_subscribe(self, event: str, is_on: bool) -> bytes:
        """See `Codec`."""
        return b'{"body":{"sr":%b}}' % _encode(SubscribeFrame(event, is_on))

    def decode_server_frame(self, payload: bytes) -> ServerFrame:
        """See `Codec`."""
        if (flaw := _flaw(payload, SERVER_NESTING_MAX)) is not None:
            raise malformed(flaw)
        try:
            body = _decode_server(payload).body
        except msgspec.DecodeError as error:
            raise malformed(error) from None
        return server_frame(body)


def encode_json_value(packed: bytes) -> bytes:
    """The JSON of a packed value, by the rules of the `json` frames."""
    return _encode(unpack(packed))


class _ArgsBody(msgspec.Struct, gc=False):
    args: list[Any] = []


_decode_args = msgspec.json.Decoder(_ArgsBody).decode


def decode_json_args(body: bytes, limits: Limits = DEFAULT) -> list[Any]:
    """The arguments in the body of a plain HTTP call; `[]` where the body or `args` is absent.

    Raises `MalformedMessage`.
    """
    if not body:
        return []
    if (flaw := _flaw(body, limits.nesting_max)) is not None:
        raise _malformed_body(flaw)
    try:
        return _decode_args(body).args
    except msgspec.DecodeError as error:
        raise _malformed_body(str(error)) from None


def _malformed_body(reason: str) -> MalformedMessage:
    return MalformedMessage(f'The body isn\'t JSON like {{"args": [...]}}: {reason}')


def _flaw(payload: bytes, nesting_max: int) -> str | None:
    """What forbids decoding the text: the decoders recurse, and don't read what they skip."""
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            return str(error)
    if is_too_deep(payload, nesting_max):
        return f"it is nested more than {nesting_max} levels deep"
    return None


def is_too_deep(payload: bytes, nesting_max: int) -> bool:
    """Whether arrays and objects in the text nest deeper than `nesting_max`; one linear pass."""
    if payload.count(b"[") + payload.count(b"{") <= nesting_max:
        return False
    brackets = _STRING.sub(b"", payload).translate(_TO_STEPS, _ALL_BUT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > nesting_max


def _call_id(payload: bytes) -> int | None:
    """The id of a call that is malformed elsewhere, None where it can't be read."""
    try:
        return _decode_id(payload).call_id
    except msgspec.DecodeError:
        return _call_id_at_head(payload)


def _call_id_at_head(payload: bytes) -> int | None:
    """The id where clients put it, in a frame whose rest need not even be JSON."""
    head = _CALL_HEAD.match(payload)
    call_id = int(head[1]) if head is not None else None
    return call_id if call_id is not None and call_id <= CALL_ID_MAX else None
