"""One tree of errors, each with a stable code.

What a code is worth stands beside it: the HTTP status, the WebSocket close code where the
error ends a connection, and whether asking again later can help. `docs/reference/errors.md`
is made from this file. A message says what is wrong and what to do; it never carries
secrets or the text of somebody else's exception.
"""

from typing import Any, ClassVar


class DenizenError(Exception):
    """An error with a code. Subclasses fix the code; `message` and `metadata` are for people."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    close_code: ClassVar[int | None] = None
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, metadata: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InternalError(DenizenError):
    """An exception in an actor's code or in ours; the actor's log has the story under `reference`."""

    MESSAGE = "Internal error. Read the actor logs for more details."

    def __init__(self, reference: str | None = None) -> None:
        super().__init__(self.MESSAGE, metadata={"reference": reference} if reference else None)


class UserError(DenizenError):
    """Raise it in an action: message, code and metadata reach the caller as they are."""

    code = "user_error"
    status = 400

    def __init__(self, message: str, *, code: str = "user_error", metadata: Any = None) -> None:
        super().__init__(message, metadata=metadata)
        self.user_code = code


def code_of(error: DenizenError) -> str:
    """The code that travels: a `UserError` may carry its author's own."""
    return error.user_code if isinstance(error, UserError) else error.code


# What a caller got wrong.


class ActorTypeNotFound(DenizenError):
    """No actor type of that name is served here."""

    code = "actor_type_not_found"
    status = 404
    close_code = 1008


class ActorNotFound(DenizenError):
    """There is no actor at that address, and the call may not create it."""

    code = "actor_not_found"
    status = 404
    close_code = 1008


class ActorDestroyed(DenizenError):
    """The actor was destroyed; its address may hold a new one, its id never will."""

    code = "actor_destroyed"
    status = 404
    close_code = 1000


class RpcNotFound(DenizenError):
    """The actor has no action of that name."""

    code = "rpc_not_found"
    status = 404


class InvalidArguments(DenizenError):
    """The arguments don't fit the action's type hints; the message has the path."""

    code = "invalid_arguments"
    status = 400


class MalformedMessage(DenizenError):
    """The frame or body isn't what the protocol says.

    `call_id` is the call that the frame was, where so much could be read: it is answered with this
    error. It is None where the error belongs to no call.
    """

    code = "malformed_message"
    status = 400
    call_id: int | None = None

    def __init__(self, message: str, *, metadata: Any = None, call_id: int | None = None) -> None:
        super().__init__(message, metadata=metadata)
        self.call_id = call_id


class MessageTooLong(DenizenError):
    """The frame or body is larger than the limit."""

    code = "message_too_long"
    status = 413
    close_code = 1009


class InvalidProtocolVersion(DenizenError):
    """The connection asked for a protocol version that isn't served."""

    code = "invalid_protocol_version"
    status = 400
    close_code = 1008


class InvalidProtocolFormat(DenizenError):
    """The connection asked for an encoding that isn't served."""

    code = "invalid_protocol_format"
    status = 400
    close_code = 1008


class ConnectionParametersTooLong(DenizenError):
    """The connection's parameters are larger than the limit."""

    code = "connection_parameters_too_long"
    status = 400
    close_code = 1008


class MalformedConnectionParameters(DenizenError):
    """The connection's parameters aren't JSON. The code is spelled as the first clients know it."""

    code = "malformed_connnection_parameters"
    status = 400
    close_code = 1008


class InvalidKey(DenizenError):
    """The key in the address can't be read or is over its limits."""

    code = "invalid_key"
    status = 400
    close_code = 1008


class InvalidTags(DenizenError):
    """Tags are missing their name, aren't text, or are over their limits."""

    code = "invalid_tags"
    status = 400


class InvalidNamespace(DenizenError):
    """The namespace in the address isn't a name."""

    code = "invalid_namespace"
    status = 400
    close_code = 1008


class RouteNotFound(DenizenError):
    """Nothing is served at that path."""

    code = "not_found"
    status = 404


class MethodNotAllowed(DenizenError):
    """The path exists, but not for that method."""

    code = "method_not_allowed"
    status = 405


class UpgradeRequired(DenizenError):
    """The path is for WebSocket connections: ask for an upgrade, version 13."""

    code = "upgrade_required"
    status = 426


class HeadTooLarge(DenizenError):
    """The request's head is larger than the limit."""

    code = "head_too_large"
    status = 431


class RequestTimedOut(DenizenError):
    """The request's body wasn't sent in time."""

    code = "request_timed_out"
    status = 408


class Forbidden(DenizenError):
    """The request's principal, host name or origin may not do that."""

    code = "forbidden"
    status = 403
    close_code = 1008


class CallCycle(DenizenError):
    """The call waits, through a chain of calls, for itself."""

    code = "call_cycle"
    status = 409


# What is worth trying again.


class RpcTimedOut(DenizenError):
    """The action took longer than its timeout and was cancelled; turns that had ended stand."""

    code = "rpc_timed_out"
    status = 408


class Overloaded(DenizenError):
    """A bounded queue is full: try again after a moment."""

    code = "overloaded"
    status = 503
    close_code = 1013
    is_retryable = True


class TooManyRequests(DenizenError):
    """The connection sends requests faster than it may."""

    code = "too_many_requests"
    status = 429
    is_retryable = True


class TooManyConnections(DenizenError):
    """The actor has as many connections as it may."""

    code = "too_many_connections"
    status = 503
    close_code = 1013
    is_retryable = True


class NotHere(DenizenError):
    """This host doesn't hold the actor's generation; nothing was run."""

    code = "not_here"
    status = 503
    close_code = 1012
    is_retryable = True


class OutcomeUnknown(DenizenError):
    """The connection broke after the call was sent: it may have run or not."""

    code = "outcome_unknown"
    status = 503


class ActorStopped(DenizenError):
    """The actor went down before the call could end; what was acknowledged stands."""

    code = "actor_stopped"
    status = 503
    close_code = 1012


class ActorCrashed(DenizenError):
    """The actor's start failed or a task of its own raised; it starts again when it is called."""

    code = "actor_crashed"
    status = 503
    close_code = 1011


class NotConnected(DenizenError):
    """The client isn't connected and its queue of waiting calls is full or was given up."""

    code = "not_connected"
    status = 503
    is_retryable = True


# What only a caller's own side can tell.


class InvalidUrl(DenizenError):
    """The server's URL that a client was given can't be read."""

    code = "invalid_url"
    status = 400


class InvalidResult(DenizenError):
    """A result doesn't fit the return hint of the class that the caller holds; the call has run."""

    code = "invalid_result"
    status = 502


# What the actor's author has to mend.


class StateUnstorable(DenizenError):
    """A value in the state can't be stored; the turn was rolled back and the log says where."""

    code = "state_unstorable"
    status = 500


class StateTooLarge(DenizenError):
    """The actor's encoded state is over its limit; the turn was rolled back."""

    code = "state_too_large"
    status = 413


class CommitTooLarge(DenizenError):
    """One turn changed more than a commit may carry; it was rolled back."""

    code = "commit_too_large"
    status = 413


class ResultUnsendable(DenizenError):
    """What an action returned or emitted can't be encoded; the log says where."""

    code = "result_unsendable"
    status = 500


# What stands in the way of starting.


class PortUnavailable(DenizenError):
    """The port can't be opened: something else uses it, or it may not be used."""

    code = "port_unavailable"


# The store.


class StoreError(DenizenError):
    """What a store's driver raises, mapped once, in the driver."""

    code = "store_error"
    status = 503


class StoreConflict(StoreError):
    """Another transaction changed what this one had read; `transact` runs it again by itself."""

    code = "store_conflict"
    status = 409
    is_retryable = True


class CommitOutcomeUnknown(StoreError):
    """The commit was sent and its outcome never arrived: it may have been applied."""

    code = "commit_outcome_unknown"


class StoreUnavailable(StoreError):
    """The store can't be written or reached (disk full, I/O error, server down)."""

    code = "store_unavailable"
    is_retryable = True


class StoreClosed(StoreError):
    """The store was closed."""

    code = "store_closed"


class StoreInUse(StoreError):
    """Another process holds the data directory."""

    code = "store_in_use"


class StoreFormatUnknown(StoreError):
    """The data is damaged or was written by another format version."""

    code = "store_format_unknown"


class InvalidStoreUrl(StoreError):
    """The store's URL can't be read."""

    code = "invalid_store_url"
    status = 400


class TransactionTooLarge(StoreError):
    """A transaction carries more than a store takes."""

    code = "transaction_too_large"
    status = 413


class TransactionTooOld(StoreError):
    """A transaction lived longer than a store allows; `transact` runs it again by itself."""

    code = "transaction_too_old"
    is_retryable = True


class KeyTooLarge(StoreError):
    """A storage key is over its limit."""

    code = "store_key_too_large"
    status = 413


class KeyReserved(StoreError):
    """A storage key lies in the range that a store keeps for itself (it begins with FF)."""

    code = "store_key_reserved"
    status = 400


class ValueTooLarge(StoreError):
    """A stored value is over its limit."""

    code = "store_value_too_large"
    status = 413


def catalogue() -> dict[str, type[DenizenError]]:
    """Every code with its error, as the docs and the clients see them."""
    found: dict[str, type[DenizenError]] = {}
    waiting: list[type[DenizenError]] = [DenizenError]
    while waiting:
        error = waiting.pop()
        waiting.extend(error.__subclasses__())
        if error.__module__ == __name__ and error not in (DenizenError, StoreError):
            assert error.code not in found, f"two errors share the code {error.code}"
            found[error.code] = error
    return dict(sorted(found.items()))


_catalogue = catalogue()


def from_wire(code: str, message: str, metadata: Any = None) -> DenizenError:
    """The error that a code, message and metadata from the wire stand for.

    A code that isn't in the catalogue is an actor author's own: a `UserError`.
    """
    found = _catalogue.get(code)
    if found is None or found is UserError:
        return UserError(message, code=code, metadata=metadata)
    error = found.__new__(found)
    DenizenError.__init__(error, message, metadata=metadata)
    return error
