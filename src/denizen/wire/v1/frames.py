"""The frames of protocol v1, as typed messages. No encoding lives here.

The short names are the wire's. A body holds exactly one frame: a second one, or a word that isn't
one of v1's, makes it malformed. Inside a frame keys that v1 doesn't know are passed over, as the
first servers did, so that a client which says more than it must keeps working.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType, field

CALL_ID_MAX = 2**53
"""Call ids are numbers in JavaScript: above this they stop being exact."""

CallId = Annotated[int, msgspec.Meta(ge=0, le=CALL_ID_MAX)]


class CallFrame(msgspec.Struct, frozen=True, gc=False):
    """`rr`: run the action `action` with plain values `args`, and answer under `id`."""

    id: CallId = field(name="i")
    action: str = field(name="n")
    args: list[Any] = field(name="a")


class SubscribeFrame(msgspec.Struct, frozen=True, gc=False):
    """`sr`: from now on the connection wants events called `event`, or no longer does."""

    event: str = field(name="e")
    is_on: bool = field(name="s")


class OutputFrame(msgspec.Struct, frozen=True, gc=False):
    """`ro`: what the call `id` returned, as a plain value."""

    id: CallId = field(name="i")
    output: Any = field(name="o")


class ErrorFrame(msgspec.Struct, frozen=True, gc=False):
    """`re`: the call `id` failed. `metadata` is UNSET where there is none."""

    id: CallId = field(name="i")
    code: str = field(name="c")
    message: str = field(name="m")
    metadata: Any = field(name="md", default=UNSET)


class EventFrame(msgspec.Struct, frozen=True, gc=False):
    """`ev`: the event `name` with plain values `args`."""

    name: str = field(name="n")
    args: list[Any] = field(name="a")


class FailureFrame(msgspec.Struct, frozen=True, gc=False):
    """`er`: an error that belongs to no call. `metadata` is UNSET where there is none."""

    code: str = field(name="c")
    message: str = field(name="m")
    metadata: Any = field(name="md", default=UNSET)


ClientFrame = CallFrame | SubscribeFrame
ServerFrame = OutputFrame | ErrorFrame | EventFrame | FailureFrame


class ClientBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a client may put into `body`."""

    rr: CallFrame | UnsetType = UNSET
    sr: SubscribeFrame | UnsetType = UNSET


class ServerBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What an actor may put into `body`."""

    ro: OutputFrame | UnsetType = UNSET
    re: ErrorFrame | UnsetType = UNSET
    ev: EventFrame | UnsetType = UNSET
    er: FailureFrame | UnsetType = UNSET


class ClientEnvelope(msgspec.Struct, gc=False):
    """A whole frame from a client."""

    body: ClientBody


class ServerEnvelope(msgspec.Struct, gc=False):
    """A whole frame from an actor."""

    body: ServerBody


class _IdentifiedCall(msgspec.Struct, gc=False):
    i: CallId


class _IdentifiedBody(msgspec.Struct, gc=False):
    rr: _IdentifiedCall


class IdentifiedEnvelope(msgspec.Struct, gc=False):
    """What must hold of a malformed call for it to be answered: its id can be read."""

    body: _IdentifiedBody

    @property
    def call_id(self) -> int:
        """The id to answer under."""
        return self.body.rr.i
