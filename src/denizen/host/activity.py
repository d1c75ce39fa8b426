"""One thing that an actor is asked to do: a call, a hook, an HTTP request. From arrival to answer."""

from typing import Any, Protocol

import msgspec

from denizen.core.errors import DenizenError, code_of
from denizen.host.deadlines import Queue
from denizen.wire.runtime import Call, Caller, Failure, Hook, HttpReceive, HttpSend, HttpStart

NO_CALLER = Caller()


class Asker(Protocol):
    """Who waits for the answer; `call_id` is the asker's own name for the question."""

    def succeed(self, call_id: int, value: bytes) -> None: ...

    def fail(self, call_id: int, failure: Failure) -> None: ...


class Doer(Protocol):
    """Whose activity it is."""

    def waiting(self) -> "list[Activity]":
        """The activities that wait to be let in."""
        ...

    def expire(self, activity: "Activity") -> None:
        """The activity's deadline has passed before it was answered."""
        ...


class Exchange(Asker, Protocol):
    """The asker of an HTTP request, who also serves the app's wants meanwhile."""

    def serve(self, want: HttpReceive | HttpSend) -> None: ...


class _Nobody:
    """Nobody waits: a hook that tells of something that has happened."""

    def succeed(self, call_id: int, value: bytes) -> None:
        """It is of no interest."""

    def fail(self, call_id: int, failure: Failure) -> None:
        """The actor's log has it."""


NOBODY = _Nobody()


class Activity(msgspec.Struct, eq=False):
    """One call (or, in the subclasses, hook or HTTP request). Answered exactly once, whatever happens.

    `is_running`: its code is under way. `is_answered`: the asker has been told. `made_by` is the
    activity of another actor that waits for it.
    """

    asker: Asker
    call_id: int
    action: str
    args: list[Any]
    caller: Caller = NO_CALLER
    timeout_s: float | None = None
    made_by: "Activity | None" = None
    expiry: "Queue | None" = None
    """Where its deadline stands, while it has one."""
    id: int = -1
    doer: Doer | None = None
    is_exclusive: bool = False
    is_running: bool = False
    has_run: bool = False
    is_answered: bool = False

    @property
    def deadline_at(self) -> float | None:
        """When it expires, on the monotonic clock; None: never."""
        return None if self.expiry is None else self.expiry.get(self)

    def message(self) -> Call | Hook | HttpStart:
        """What the body is told."""
        return Call(self.id, self.action, self.args, self.caller, self.timeout_s or 0.0)

    def succeed(self, value: bytes) -> None:
        """Answer with a packed value, unless it was answered before."""
        if not self.is_answered:
            self.is_answered = True
            if self.expiry is not None:
                self.expiry.pop(self, None)
            self.asker.succeed(self.call_id, value)

    def fail_with(self, failure: Failure) -> None:
        """Answer with a failure, unless it was answered before."""
        if not self.is_answered:
            self.is_answered = True
            self.forget_deadline()
            self.asker.fail(self.call_id, failure)

    def fail(self, error: DenizenError) -> None:
        """Answer with an error of ours, unless it was answered before."""
        if not self.is_answered:
            self.fail_with(failure_from(error))

    def expire(self) -> None:
        """The deadline has passed (`host.deadlines.Expiring`)."""
        if self.doer is not None and not self.is_given_up:
            self.doer.expire(self)

    @property
    def is_given_up(self) -> bool:
        """Whether its asker was told something before it ended by itself."""
        return self.is_answered and self.asker is not NOBODY

    def forget_deadline(self) -> None:
        """It may take as long as it likes, or is over."""
        if self.expiry is not None:
            self.expiry.pop(self, None)


class HookActivity(Activity, eq=False, kw_only=True):
    """A hook that is to run. `hook` has everything but its number."""

    hook: Hook

    def message(self) -> Hook:
        hook = self.hook
        return Hook(self.id, hook.name, hook.connection_id, hook.params, hook.principal)


class HttpActivity(Activity, eq=False, kw_only=True):
    """An HTTP request for the actor's own ASGI app. It has no deadline: its sides have theirs."""

    exchange: Exchange
    scope: dict[str, Any]

    def message(self) -> HttpStart:
        return HttpStart(self.id, self.scope)


def hook_activity(asker: Asker, hook: Hook, timeout_s: float | None = None) -> HookActivity:
    """The activity of a hook; one for nobody is answered as it begins."""
    return HookActivity(
        asker, 0, "", [], timeout_s=timeout_s, is_answered=asker is NOBODY, hook=hook
    )


def http_activity(exchange: Exchange, scope: dict[str, Any]) -> HttpActivity:
    """The activity of an HTTP request."""
    return HttpActivity(exchange, 0, "", [], exchange=exchange, scope=scope)


def failure_from(error: DenizenError) -> Failure:
    """An error of ours as it travels."""
    if error.metadata is None:
        return Failure(code_of(error), error.message)
    return Failure(code_of(error), error.message, error.metadata)
