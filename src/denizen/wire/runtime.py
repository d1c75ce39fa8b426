"""What a host and the body of an actor say to each other.

A *body* is where an actor's code runs: Python in this process, a process behind a pipe, later
V8 or a container. Host and body share no object: only these messages cross, so every promise is kept by
the host alike, wherever the code runs.

    host -> body   Start, Call, Cancel, Hook, Answer, HttpStart
    body -> host   Started, Turn(changes, outputs, ended)

`changes` are what one turn changed, `outputs` what it wants to leave the host; the host holds
outputs until the changes before them are durable. Activities (calls, hooks, HTTP requests) are numbered
by the host, requests (outgoing calls, waits for durability) by the body; each number is used once a start.
Times are seconds that remain, never instants: two processes share no clock.
"""

from typing import Any, Protocol

import msgspec

PackedValue = bytes
"""A value in the neutral form of `wire.values`."""

NULL: PackedValue = b"\xc0"
"""None, packed."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", tag=True, gc=False):
    """Base of all that crosses: frozen, tagged with its name, encoded as an array."""


class Identity(Message, frozen=True):
    """Which actor a body is."""

    namespace: str
    type: str
    key: tuple[str, ...]
    actor_id: str
    tags: dict[str, str]
    region: str
    generation: int


class Failure(Message, frozen=True):
    """An error as it travels. `metadata` is plain data; None where there is none."""

    code: str
    message: str
    metadata: Any = None


class Caller(Message, frozen=True):
    """Where a call comes from: a connection, an actor's call, or neither (plain HTTP).

    `chain` names the actors that wait for this call, the outermost first.
    """

    connection_id: str | None = None
    chain: tuple[str, ...] = ()


# Host to body.


class Start(Message, frozen=True):
    """Become this actor. `state` is its fields, encoded; `is_new` asks for `on_create(input)`.

    Answered by one `Started`, before anything else is sent to the body.
    """

    identity: Identity
    is_new: bool
    state: dict[str, bytes]
    input: PackedValue | None


class Call(Message, frozen=True):
    """Run an action. Ends with a `Turn` that names it in `ended` and carries its reply."""

    activity_id: int
    action: str
    args: list[Any]
    caller: Caller
    timeout_s: float


class Cancel(Message, frozen=True):
    """The activity's answer is no longer wanted: unwind it. It still ends with a `Turn`."""

    activity_id: int


class Hook(Message, frozen=True):
    """Run a hook: `connect` (deciding, then greeting), `disconnect`, or `destroy`."""

    activity_id: int
    name: str
    connection_id: str | None = None
    params: Any = None
    principal: str = ""


class Answer(Message, frozen=True):
    """What came of a request of the body: a value, or a failure."""

    request_id: int
    value: PackedValue | None = None
    failure: Failure | None = None


class HttpStart(Message, frozen=True):
    """Serve an HTTP request with the actor's ASGI app; `scope` has only plain values."""

    activity_id: int
    scope: dict[str, Any]


# Body to host.


class Started(Message, frozen=True):
    """The actor is up, or `failure` says why not. `changes` and outputs follow as its first turn."""

    failure: Failure | None = None


class Reply(Message, frozen=True):
    """An activity's result."""

    activity_id: int
    value: PackedValue


class Failed(Message, frozen=True):
    """An activity's error."""

    activity_id: int
    failure: Failure


class Event(Message, frozen=True):
    """An event for the connections that subscribed to it, or for the one that is named."""

    name: str
    args: PackedValue
    connection_id: str | None = None


class Request(Message, frozen=True):
    """A call to another actor, made by `activity_id` (None: by a background task)."""

    request_id: int
    activity_id: int | None
    type: str
    key: tuple[str, ...]
    actor_id: str | None
    action: str
    args: PackedValue
    timeout_s: float


class Barrier(Message, frozen=True):
    """Answered once everything before it is durable."""

    request_id: int


class Disconnect(Message, frozen=True):
    """Say goodbye to a connection."""

    connection_id: str
    reason: str


class HttpReceive(Message, frozen=True):
    """The app wants the next ASGI message of the client's side: the answer is that message."""

    request_id: int
    activity_id: int


class HttpSend(Message, frozen=True):
    """An ASGI message of the app's side; answered once the client's socket has taken it."""

    request_id: int
    activity_id: int
    event: PackedValue


class Crash(Message, frozen=True):
    """A task of the actor raised: it goes down and starts again when it is called."""

    reason: str


Output = Reply | Failed | Event | Request | Barrier | Disconnect | HttpReceive | HttpSend | Crash


class Turn(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", tag=True):
    """What one turn did: changed fields (None: removed), outputs in order, and what ended with it.

    `state_bytes` is the size of the whole state after a turn that changed it. `destroys`: the actor asked
    for its own end; it comes once all activities have ended.
    """

    changes: dict[str, bytes | None]
    outputs: list[Output]
    ended: int | None = None
    destroys: bool = False
    state_bytes: int = 0


ToBody = Start | Call | Cancel | Hook | Answer | HttpStart
ToHost = Started | Turn


class ActionInfo(Message, frozen=True):
    """What a host must know of an action before it runs it."""

    is_exclusive: bool
    timeout_s: float


class TypeInfo(Message, frozen=True):
    """What a host must know of an actor type."""

    name: str
    actions: dict[str, ActionInfo]
    create_explicitly: bool
    has_http: bool
    hooks: frozenset[str]


class Body(Protocol):
    """Where one actor's code runs, as its host sees it.

    `receive` takes any message to a body, never blocks and never raises. What the body has to say
    reaches the host through the callback that it was made with, in order, from the same event loop.
    """

    def receive(self, message: ToBody) -> None: ...

    def stop(self) -> None:
        """End all that runs, at once; nothing more is said to the host."""
        ...


class Runtime(Protocol):
    """A kind of body: knows its types and makes bodies."""

    def types(self) -> dict[str, TypeInfo]: ...

    def make_body(self, type_name: str, say: "Say") -> Body: ...

    def close(self) -> None:
        """Let go of what bodies share. No body is made or asked any more."""
        ...


class Say(Protocol):
    """How a body reaches its host."""

    def __call__(self, message: ToHost) -> None: ...
