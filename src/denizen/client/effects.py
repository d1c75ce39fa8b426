"""What a connection's machine wants done. Data only: `connection.py` does it."""

from typing import Any

import msgspec

from denizen.core.errors import DenizenError


class OpenSocket(msgspec.Struct, frozen=True):
    """Begin an attempt to connect; the machine hears `opened` or `lost`."""


class CloseSocket(msgspec.Struct, frozen=True):
    """Say goodbye and hear nothing more of this socket."""

    code: int
    reason: str


class SendCall(msgspec.Struct, frozen=True):
    """Send an encoded call."""

    call_id: int
    payload: bytes


class SendSubscription(msgspec.Struct, frozen=True):
    """Send the wish to get an event, or to get it no more."""

    event: str
    is_on: bool


class Return(msgspec.Struct, frozen=True):
    """Settle a call with its result."""

    call_id: int
    output: Any


class Fail(msgspec.Struct, frozen=True):
    """Settle a call with an error."""

    call_id: int
    error: DenizenError


class Deliver(msgspec.Struct, frozen=True):
    """Give an event to its handlers."""

    event: str
    args: list[Any]


class Retry(msgspec.Struct, frozen=True):
    """Call `retry` after a pause drawn between the two bounds."""

    at_least_s: float
    at_most_s: float


class CancelRetry(msgspec.Struct, frozen=True):
    """Call it no more."""


class Report(msgspec.Struct, frozen=True):
    """Tell the log: nobody may be waiting who would hear of it."""

    error: DenizenError


Effect = (
    OpenSocket
    | CloseSocket
    | SendCall
    | SendSubscription
    | Return
    | Fail
    | Deliver
    | Retry
    | CancelRetry
    | Report
)
