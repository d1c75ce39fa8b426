"""What every encoding of protocol v1 offers, and the judgements that they share.

A codec is pure: bytes in, a frame out, and back. It holds no connection and knows no actor.
"""

from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from denizen.core.errors import MalformedMessage
from denizen.core.limits import Limits
from denizen.wire.v1.frames import (
    CallFrame,
    ClientBody,
    ClientFrame,
    ServerBody,
    ServerFrame,
)
from denizen.wire.values import NESTING_MAX, plain

SERVER_NESTING_MAX = NESTING_MAX + 3
"""An actor's frame nests a value three levels deeper than it nests itself: frame, `body`, `ro`."""

_REASON_MAX = 200


class Codec(Protocol):
    """One encoding of protocol v1.

    Decoding raises `MalformedMessage` and nothing else, in time and memory bounded by the payload's
    length. What is given to encode as `packed` comes from `wire.values.pack`. Live values (`args`
    of a call, `metadata`) are made plain here and raise `Unencodable` where they can't be sent.
    """

    @property
    def name(self) -> str:
        """What a connection asks for as `format`."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether its frames are binary, not text."""
        ...

    def decode_client_frame(self, payload: bytes) -> ClientFrame:
        """The call or subscription that a client sent.

        A malformed call whose `i` can still be read has it as the error's `call_id`.
        """
        ...

    def encode_output(self, call_id: int, packed: bytes) -> bytes:
        """`ro`: the call's packed result."""
        ...

    def encode_error(self, call_id: int, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """`re`: the call failed. None and UNSET metadata are left out."""
        ...

    def encode_event(self, name: str, packed_args: bytes) -> bytes:
        """`ev`: an event and the packed list of its arguments."""
        ...

    def encode_failure(self, code: str, message: str, metadata: Any = UNSET) -> bytes:
        """`er`: an error that belongs to no call. None and UNSET metadata are left out."""
        ...

    def encode_call(self, call_id: int, action: str, args: list[Any]) -> bytes:
        """`rr`: a client's call."""
        ...

    def encode_subscribe(self, event: str, is_on: bool) -> bytes:
        """`sr`: a client's subscription, or the end of one."""
        ...

    def decode_server_frame(self, payload: bytes) -> ServerFrame:
        """The output, error, event or failure that an actor sent."""
        ...


def malformed(reason: object, call_id: int | None = None) -> MalformedMessage:
    """The error for a frame that can't be read; `reason` is cut, for it may quote the frame."""
    text = str(reason)
    if len(text) > _REASON_MAX:
        text = f"{text[:_REASON_MAX]}…"
    return MalformedMessage(f"The frame isn't one of protocol v1: {text}", call_id=call_id)


def client_frame(body: ClientBody, limits: Limits) -> ClientFrame:
    """The one frame in a client's body, its names within their limits."""
    call = body.rr
    if not isinstance(call, UnsetType):
        if body.sr is not UNSET:
            raise malformed("`body` holds both `rr` and `sr`, send them apart", call.id)
        return checked_call(call, limits)
    if isinstance(body.sr, UnsetType):
        raise malformed("`body` holds neither `rr` nor `sr`")
    if _is_longer(body.sr.event, limits.event_name_bytes_max):
        raise malformed(f"the event's name is over {limits.event_name_bytes_max} bytes")
    return body.sr


def checked_call(call: CallFrame, limits: Limits) -> CallFrame:
    """The call, the name of its action within the limit."""
    if _is_longer(call.action, limits.action_name_bytes_max):
        reason = f"the action's name is over {limits.action_name_bytes_max} bytes"
        raise malformed(reason, call.id)
    return call


def server_frame(body: ServerBody) -> ServerFrame:
    """The one frame in an actor's body."""
    held = [
        frame for frame in (body.ro, body.re, body.ev, body.er) if not isinstance(frame, UnsetType)
    ]
    if len(held) != 1:
        raise malformed(f"`body` holds {len(held)} of `ro`, `re`, `ev` and `er`, not one")
    return held[0]


def plain_metadata(metadata: Any) -> Any:
    """Metadata as it is sent: plain, and UNSET where there is none. Raises `Unencodable`."""
    return UNSET if metadata is None or metadata is UNSET else plain(metadata)


def sendable(text: str) -> str:
    """The text with what UTF-8 can't say replaced: an error's message must always arrive."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _is_longer(text: str, bytes_max: int) -> bool:
    # A character is four bytes at most: the short names of all days are never encoded.
    return len(text) * 4 > bytes_max and len(text.encode()) > bytes_max
