"""One client connection in the host: protocol version 1, from the request to the close.

Sans-I/O: frames come in through `receive` and go out through a `Peer`. The order of things: the request is
judged, the actor found or woken, its connect hook run; frames that come meanwhile wait, and are handled
in order once it has ended. Every call that could be read is answered exactly once.
"""

from typing import Any, Protocol

import msgspec

from denizen.core import entropy
from denizen.core.address import Address
from denizen.core.errors import (
    ConnectionParametersTooLong,
    DenizenError,
    InternalError,
    InvalidProtocolFormat,
    InvalidProtocolVersion,
    MalformedConnectionParameters,
    MalformedMessage,
    MessageTooLong,
    Overloaded,
    code_of,
    from_wire,
)
from denizen.core.limits import Limits
from denizen.core.principal import Principal
from denizen.host.activity import Activity, hook_activity
from denizen.wire.runtime import Caller, Failure, Hook
from denizen.wire.v1.codec import Codec
from denizen.wire.v1.frames import CallFrame, SubscribeFrame

_REFUSED = 1008


class Peer(Protocol):
    """The far end, as the gateway supplies it."""

    def send(self, payload: bytes, is_binary: bool) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class ConnectRequest(Protocol):
    """What the gateway read from the request."""

    @property
    def address(self) -> Address | None: ...

    @property
    def principal(self) -> Principal: ...

    @property
    def version(self) -> str | None: ...

    @property
    def format(self) -> str | None: ...

    @property
    def params(self) -> str | None: ...

    @property
    def problem(self) -> Exception | None: ...


class Home(Protocol):
    """The actor of a connection, awake."""

    @property
    def lets_in_all(self) -> bool:
        """Whether no hook of it decides on connections."""
        ...

    def join(self, connection: "Connection") -> None: ...

    def leave(self, connection: "Connection") -> None: ...

    def begin(self, activity: Activity) -> None: ...

    def tell(self, hook: Hook) -> None: ...

    def call(self, activity: Activity) -> None: ...


class Finder(Protocol):
    """Who finds a connection's actor."""

    limits: Limits

    def join(self, connection: "Connection", address: Address) -> None:
        """Find the actor and tell the connection, by `found` or `refuse`."""
        ...


class Connection:
    """A client's connection to one actor."""

    __slots__ = (
        "_early",
        "_in_flight",
        "_instance",
        "_is_asking",
        "_is_binary",
        "_is_closed",
        "_is_open",
        "_limits",
        "_peer",
        "_principal",
        "caller",
        "codec",
        "id",
        "params",
        "subscriptions",
    )

    def __init__(self, finder: Finder, peer: Peer, codec: Codec, principal: str) -> None:
        self.id = entropy.token_hex(8)
        self.codec = codec
        self.caller = Caller(self.id)
        self.subscriptions: set[str] = set()
        self._limits = finder.limits
        self._peer = peer
        self.params: Any = None
        self._principal = principal
        self._is_binary = codec.is_binary
        self._instance: Home | None = None
        self._early: list[tuple[bytes | None, bool]] | None = []
        self._in_flight = 0
        self._is_asking = False
        self._is_open = False
        self._is_closed = False

    # Joining.

    def found(self, instance: Home) -> None:
        """The actor is awake: join it and let its hook decide."""
        if self._is_closed:
            return
        try:
            instance.join(self)
        except DenizenError as error:
            self.refuse(error)
            return
        self._instance = instance
        hook = Hook(0, "connect", self.id, self.params, self._principal)
        if instance.lets_in_all:
            instance.tell(hook)
            self._let_in()
            return
        self._is_asking = True
        instance.begin(hook_activity(_Greeting(self), hook, self._limits.action_timeout_s))

    def hook_ended(self, error: DenizenError | None) -> None:
        """The connect hook has let the connection in, or refused it."""
        self._is_asking = False
        if self._is_closed and self._instance is not None and self._early is None:
            # The socket ended while the hook ran: only now is the actor told.
            self._leave()
        elif error is None:
            self._let_in()
        else:
            self.refuse(error)

    def _let_in(self) -> None:
        """Handle what came meanwhile, then what comes."""
        if self._is_closed:
            return
        self._is_open = True
        early, self._early = self._early, None
        for payload, is_binary in early or ():
            if payload is None:
                self.receive_too_long()
            else:
                self.receive(payload, is_binary)

    def refuse(self, error: DenizenError) -> None:
        """Say why in one frame, then close: a browser can't read a failed upgrade."""
        if self._is_closed:
            return
        frame = self.codec.encode_failure(code_of(error), error.message, _metadata_of(error))
        self._peer.send(frame, self._is_binary)
        # A connection that never was is always closed the same way, whatever the error.
        self.say_goodbye(_REFUSED, code_of(error))

    # The gateway's side (`gateway.ports.ClientConnection`).

    def receive(self, payload: bytes, is_binary: bool) -> None:
        """One whole frame has come."""
        if not self._is_open:
            self._keep(payload, is_binary)
            return
        if is_binary is not self._is_binary:
            kind = "binary" if self._is_binary else "text"
            self._tell(MalformedMessage(f"{self.codec.name} travels in {kind} frames only."))
            return
        try:
            frame = self.codec.decode_client_frame(payload)
        except MalformedMessage as error:
            self._answer_malformed(error)
            return
        if type(frame) is CallFrame:
            self._call(frame)
        elif type(frame) is SubscribeFrame:
            self._subscribe(frame)

    def receive_too_long(self) -> None:
        """A frame over the limit has come and was dropped."""
        if not self._is_open:
            self._keep(None, False)
            return
        limit = self._limits.frame_bytes_max
        self._tell(MessageTooLong(f"A frame has at most {limit} bytes."))

    def lost(self) -> None:
        """The socket has ended."""
        self._is_closed = True
        self._early = None
        if not self._is_asking:
            self._leave()

    def _leave(self) -> None:
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.leave(self)

    # The actor's side.

    def succeed(self, call_id: int, value: bytes) -> None:
        """A call's result leaves."""
        self._in_flight -= 1
        if not self._is_closed:
            self._peer.send(self.codec.encode_output(call_id, value), self._is_binary)

    def fail(self, call_id: int, failure: Failure) -> None:
        """A call's failure leaves."""
        self._in_flight -= 1
        if not self._is_closed:
            frame = self.codec.encode_error(
                call_id, failure.code, failure.message, failure.metadata
            )
            self._peer.send(frame, self._is_binary)

    def send_event(self, name: str, args: bytes) -> None:
        """An event for this connection alone leaves."""
        self.send_frame(self.codec.encode_event(name, args))

    def send_frame(self, frame: bytes) -> None:
        """A frame that was encoded for this connection's codec leaves."""
        if not self._is_closed:
            self._peer.send(frame, self._is_binary)

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close the socket after what was sent before."""
        if not self._is_closed:
            self._is_closed = True
            self._peer.close(code, reason)

    # Frames.

    def _keep(self, payload: bytes | None, is_binary: bool) -> None:
        early = self._early
        if early is None or self._is_closed:
            return
        if len(early) >= self._limits.calls_per_connection_max:
            self.refuse(Overloaded("Too many frames before the connection was let in."))
            return
        early.append((payload, is_binary))

    def _call(self, frame: CallFrame) -> None:
        activity = Activity(self, frame.id, frame.action, frame.args, self.caller)
        self._in_flight += 1
        if self._in_flight > self._limits.calls_per_connection_max:
            activity.fail(
                Overloaded("The connection has too many calls under way: wait for replies.")
            )
        elif self._instance is not None:
            self._instance.call(activity)

    def _subscribe(self, frame: SubscribeFrame) -> None:
        if not frame.is_on:
            self.subscriptions.discard(frame.event)
        elif len(self.subscriptions) < self._limits.subscriptions_max:
            self.subscriptions.add(frame.event)
        else:
            self._tell(Overloaded("The connection has too many subscriptions."))

    def _answer_malformed(self, error: MalformedMessage) -> None:
        call_id = error.call_id
        if call_id is None:
            self._tell(error)
        else:
            frame = self.codec.encode_error(call_id, error.code, error.message, msgspec.UNSET)
            self._peer.send(frame, self._is_binary)

    def _tell(self, error: DenizenError) -> None:
        """An error that belongs to no call."""
        if not self._is_closed:
            frame = self.codec.encode_failure(code_of(error), error.message, _metadata_of(error))
            self._peer.send(frame, self._is_binary)


class _Greeting:
    """Waits for a connection's connect hook."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def succeed(self, call_id: int, value: bytes) -> None:
        self._connection.hook_ended(None)

    def fail(self, call_id: int, failure: Failure) -> None:
        metadata = None if failure.metadata is msgspec.UNSET else failure.metadata
        self._connection.hook_ended(from_wire(failure.code, failure.message, metadata))


def open_connection(
    finder: Finder, request: ConnectRequest, peer: Peer, codecs: dict[str, Codec]
) -> Connection:
    """Judge a request's version, format and parameters; refuse, or begin to join."""
    codec = codecs.get(request.format or "")
    connection = Connection(finder, peer, codec or codecs["json"], request.principal.name)
    try:
        if isinstance(request.problem, DenizenError):
            raise request.problem
        if request.problem is not None or request.address is None:
            raise InternalError
        if request.version != "1":
            raise InvalidProtocolVersion(
                f"Protocol version {request.version or '(none)'} isn't served here: use version=1."
            )
        if codec is None:
            raise InvalidProtocolFormat(
                f"The format {request.format or '(none)'} isn't served: use format=json or format=cbor."
            )
        connection.params = _read_params(request.params, finder.limits)
        finder.join(connection, request.address)
    except DenizenError as error:
        connection.refuse(error)
    return connection


def _read_params(text: str | None, limits: Limits) -> Any:
    if text is None:
        return None
    size = len(text.encode(errors="surrogatepass"))
    if size > limits.connection_parameters_bytes_max:
        raise ConnectionParametersTooLong(
            f"Connection parameters have at most {limits.connection_parameters_bytes_max} bytes, "
            f"these {size}."
        )
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedConnectionParameters("The connection parameters aren't JSON.") from None


def _metadata_of(error: DenizenError) -> Any:
    return msgspec.UNSET if error.metadata is None else error.metadata
