"""The body of one Python actor: it takes messages from the host and serves the SDK.

The way of a call: `receive(Call)` finds the action and checks the arguments, then queues it for a
runner (`runners`). Its turns end in `turn_keeper`, which says what they changed.
"""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from denizen.core.errors import DenizenError, RpcNotFound, from_wire
from denizen.core.limits import Limits
from denizen.host.runtimes.python.failures import failure_of
from denizen.host.runtimes.python.http import serve_http
from denizen.host.runtimes.python.outgoing import Outgoing
from denizen.host.runtimes.python.runners import Runners
from denizen.host.runtimes.python.tracking import TrackedState, TrackedType
from denizen.host.runtimes.python.turn_keeper import TurnKeeper
from denizen.host.runtimes.python.turns import Activity, Code, Holding, current
from denizen.sdk.actor import ActorType
from denizen.sdk.connections import Connection, Connections
from denizen.wire import values
from denizen.wire.calls import ActorCalls
from denizen.wire.runtime import (
    NULL,
    Answer,
    Barrier,
    Call,
    Cancel,
    Disconnect,
    Event,
    Failed,
    Hook,
    HttpStart,
    Output,
    Reply,
    Say,
    Start,
    Started,
    ToBody,
    Turn,
)

Hooked = Callable[[], Code]
"""What runs a hook."""


class PythonBody(TurnKeeper):
    """One actor, running in this process's event loop."""

    __slots__ = ("_by_connection", "_next_request", "_requests", "_runners", "_tracked")

    def __init__(
        self,
        actor_type: ActorType,
        tracked: TrackedType | None,
        limits: Limits,
        runners: Runners,
        loop: asyncio.AbstractEventLoop,
        say: Say,
    ) -> None:
        super().__init__(actor_type, limits, loop, say)
        self._tracked = tracked
        self._runners = runners
        self._next_request = 0
        # Made when first needed: an idle actor is to be small.
        self._requests: dict[int, asyncio.Future[Any]] | None = None
        self._by_connection: dict[str, Connection] | None = None

    # Messages in.

    def receive(self, message: ToBody) -> None:
        """Take a message from the host (`wire.runtime.Body`)."""
        if type(message) is Call:
            self._receive_call(message)
        else:
            _RECEIVERS[type(message)](self, message)

    def _receive_call(self, call: Call) -> None:
        action = self._type.actions.get(call.action)
        try:
            if action is None:
                raise RpcNotFound(f"{self._type.name} has no action {call.action!r}.")
            args = action.bind_args(call.args)
        except DenizenError as error:
            failed = Failed(call.activity_id, failure_of(error, self.log, "call"))
            self._say(Turn({}, [failed], call.activity_id))
            return
        activity = Activity(self, call.activity_id, call.caller.connection_id, action)
        if action.is_exclusive:
            activity.holding = Holding()
        self._begin(activity, action.function, (self._actor, *args))

    def _receive_start(self, start: Start) -> None:
        self.identity = start.identity
        holding = Holding()
        activity = Activity(self, None, holding=holding)
        self._actor = self._type.cls(self)
        try:
            if self._tracked is not None:
                self._state = TrackedState(self._tracked, self._limits)
                if start.is_new:
                    holding.touched = self._state.start_new()
                else:
                    self._state.load(start.state)
        except Exception as error:
            self._say(Started(failure_of(error, self.log, "load")))
            return
        if self._type.has_start_hooks or (self._state is not None and self._state.obj is None):
            self._begin(activity, self._run_start, (start,))
        else:
            self.exclusive = activity
            self.enter(activity)
            self.returned(activity, None)

    async def _run_start(self, start: Start) -> None:
        actor = self._actor
        assert actor is not None
        if start.is_new:
            given = None if start.input is None else values.unpack(start.input)
            await _maybe_await(actor.on_create(given))
        await _maybe_await(actor.on_start())
        if self._state is not None and self._state.obj is None:
            raise RuntimeError(
                f"{self._type.cls.__name__}: its state has fields without defaults, so on_create "
                "must assign self.state"
            )

    def _receive_hook(self, hook: Hook) -> None:
        run = _HOOKS[hook.name](self, hook)
        if run is None:
            self._say(Turn({}, [Reply(hook.activity_id, NULL)], hook.activity_id))
        else:
            self._begin(Activity(self, hook.activity_id, hook.connection_id), run, ())

    def _connect(self, hook: Hook) -> Hooked | None:
        connection_id = hook.connection_id or ""
        connection = Connection(
            connection_id, hook.params, hook.principal, self._send_to, self._disconnect
        )
        if self._type.hooks.isdisjoint(("on_before_connect", "on_connect")):
            self._let_in(connection)
            return None
        return partial(self._run_connect, connection)

    async def _run_connect(self, connection: Connection) -> None:
        actor = self._actor
        assert actor is not None
        if "on_before_connect" in self._type.hooks:
            hook: Callable[..., Any] = actor.on_before_connect
            wants_principal = len(inspect.signature(hook).parameters) > 1
            given = (connection.principal,) if wants_principal else ()
            connection.state = await _maybe_await(hook(connection.params, *given))
        self._let_in(connection)
        if "on_connect" in self._type.hooks:
            await _maybe_await(actor.on_connect(connection))

    def _let_in(self, connection: Connection) -> None:
        if self._by_connection is None:
            self._by_connection = {}
        self._by_connection[connection.id] = connection

    def _after_disconnect(self, hook: Hook) -> Hooked | None:
        connection_id = hook.connection_id or ""
        connection = (self._by_connection or {}).get(connection_id)
        if connection is None or "on_disconnect" not in self._type.hooks:
            self._forget(connection_id)
            return None
        return partial(self._run_disconnect, connection)

    async def _run_disconnect(self, connection: Connection) -> None:
        assert self._actor is not None
        try:
            await _maybe_await(self._actor.on_disconnect(connection))
        finally:
            self._forget(connection.id)

    def _forget(self, connection_id: str) -> None:
        connected = self._by_connection
        if connected:
            connected.pop(connection_id, None)
            if not connected:
                self._by_connection = None

    def _before_destroy(self, hook: Hook) -> Hooked | None:
        return self._run_destroy if "on_destroy" in self._type.hooks else None

    async def _run_destroy(self) -> None:
        assert self._actor is not None
        await _maybe_await(self._actor.on_destroy())

    def _receive_http(self, start: HttpStart) -> None:
        app = self._type.cls.asgi
        scope = {**start.scope, "actor": self._actor}
        args = (app, scope, start.activity_id, self.request_output)
        self._begin(Activity(self, start.activity_id), serve_http, args)

    def _receive_cancel(self, cancel: Cancel) -> None:
        activity = (self._activities or {}).get(cancel.activity_id)
        if activity is None or activity.is_cancelled:
            return
        activity.is_cancelled = True
        if activity.task is not None:
            activity.task.cancel()
            self._loop.call_later(self._limits.cancel_grace_s, self._abandon, activity)

    def _abandon(self, activity: Activity) -> None:
        if activity.task is not None and not activity.task.done():
            activity.is_abandoned = True
            activity.task.cancel()

    def _receive_answer(self, answer: Answer) -> None:
        waiting = (self._requests or {}).pop(answer.request_id, None)
        if waiting is None or waiting.done():
            return
        failure = answer.failure
        if failure is None:
            waiting.set_result(None if answer.value is None else values.unpack(answer.value))
        else:
            metadata = None if failure.metadata is msgspec.UNSET else failure.metadata
            waiting.set_exception(from_wire(failure.code, failure.message, metadata))

    def stop(self) -> None:
        """End all tasks; what they still do is said to nobody."""
        self._is_stopped = True
        self._say = _say_nothing
        for task in list(self._tasks or ()):
            task.cancel()
        for waiting in [*(self._requests or {}).values(), *(self._held or ())]:
            waiting.cancel()

    # Running.

    def _begin(self, activity: Activity, start: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if activity.holding is not None:
            self.exclusive = activity
        if activity.id is not None:
            if self._activities is None:
                self._activities = {}
            self._activities[activity.id] = activity
        self._runners.begin(activity, start, args)

    # What the SDK asks for (`sdk.actor.Context`).

    @property
    def connections(self) -> Connections:
        return Connections(lambda: self._by_connection or {})

    @property
    def calls(self) -> ActorCalls:
        return ActorCalls(lambda where: Outgoing(self, where), self.identity.namespace)

    def state(self) -> Any:
        if self._turn_of is None:
            self._note_stray()
        if self._state is None:
            raise TypeError(
                f"{self._type.cls.__name__} has no state: declare it as Actor[YourState]."
            )
        if self._state.obj is None:
            raise AttributeError(
                f"{self._type.cls.__name__}: assign self.state in on_create before reading it, "
                "since its fields have no defaults."
            )
        return self._state.obj

    def replace_state(self, state: Any) -> None:
        if self._turn_of is None:
            self._note_stray()
        if self._state is None:
            raise TypeError(
                f"{self._type.cls.__name__} has no state: declare it as Actor[YourState]."
            )
        self._state.replace(state)

    def caller(self) -> Connection | None:
        activity = current.get()
        if activity is None or activity.connection_id is None or not self._by_connection:
            return None
        return self._by_connection.get(activity.connection_id)

    def broadcast(self, event: str, args: tuple[Any, ...]) -> None:
        packed = values.pack(list(args))
        if self._by_connection:
            self._emit(Event(event, packed))

    async def durable(self) -> None:
        await self.request_output(Barrier)

    def destroy(self) -> None:
        if self._turn_of is None:
            self._note_stray()
        self._destroys = True

    async def request_output(self, make: Callable[[int], Output]) -> Any:
        """Emit an output that the host answers, and wait for the answer."""
        if self._requests is None:
            self._requests = {}
        request_id = self._next_request
        self._next_request += 1
        waiting = self._requests[request_id] = self._loop.create_future()
        self._emit(make(request_id))
        try:
            return await waiting
        finally:
            self._requests.pop(request_id, None)

    def _send_to(self, connection_id: str, event: str, packed: bytes) -> None:
        self._emit(Event(event, packed, connection_id))

    def _disconnect(self, connection_id: str, reason: str) -> None:
        self._emit(Disconnect(connection_id, reason))

    def _emit(self, output: Output) -> None:
        if self._turn_of is None:
            self._note_stray()
        self._outputs.append(output)


async def _maybe_await(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _say_nothing(message: Any) -> None:
    """A body that was stopped says nothing more."""


_RECEIVERS: dict[type[Any], Callable[[PythonBody, Any], None]] = {
    Start: PythonBody._receive_start,
    Hook: PythonBody._receive_hook,
    Cancel: PythonBody._receive_cancel,
    Answer: PythonBody._receive_answer,
    HttpStart: PythonBody._receive_http,
}
_HOOKS: dict[str, Callable[[PythonBody, Hook], Hooked | None]] = {
    "connect": PythonBody._connect,
    "disconnect": PythonBody._after_disconnect,
    "destroy": PythonBody._before_destroy,
}
