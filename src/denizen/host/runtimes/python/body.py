"""The body of one Python actor: it receives messages, runs the actor's code, and says turns.

The way of a call: `receive(Call)` finds the action and checks the arguments, runs it (a `def` at once, an
`async def` as a task of `Steps`), and each turn ends in `_end_turn`, which captures what changed and says one
`Turn`. An exclusive activity `holds`: its turns are gathered and said as one at its end, or undone.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

import msgspec

from denizen.core import clock
from denizen.core.errors import (
    DenizenError,
    ResultUnsendable,
    RpcNotFound,
    StateTooLarge,
    StateUnstorable,
    from_wire,
)
from denizen.core.limits import Limits
from denizen.host.runtimes.python import tracking
from denizen.host.runtimes.python.failures import failure_of
from denizen.host.runtimes.python.http import serve_http
from denizen.host.runtimes.python.outgoing import Outgoing
from denizen.host.runtimes.python.tracking import TrackedState, TrackedType
from denizen.host.runtimes.python.turns import Activity, Steps, current
from denizen.sdk.actor import Actor, ActorType
from denizen.sdk.connections import Connection, Connections
from denizen.telemetry import logs
from denizen.telemetry.logs import Log
from denizen.wire import values
from denizen.wire.calls import ActorCalls
from denizen.wire.runtime import (
    Answer,
    Barrier,
    Call,
    Cancel,
    Crash,
    NULL,
    Disconnect,
    Event,
    Failed,
    Failure,
    Hook,
    HttpStart,
    Identity,
    Output,
    Reply,
    Request,
    Say,
    Start,
    Started,
    ToBody,
    Turn,
)

_log = logs.get("actor")


class PythonBody:
    """One actor, running in this process's event loop."""

    __slots__ = (
        "_actor",
        "_activities",
        "_by_connection",
        "_destroys",
        "_held",
        "_is_stopped",
        "_limits",
        "_loop",
        "_next_request",
        "_outputs",
        "_requests",
        "_say",
        "_state",
        "_stray",
        "_tasks",
        "_tracked",
        "_turn_of",
        "_type",
        "exclusive",
        "identity",
    )

    identity: Identity

    def __init__(
        self,
        actor_type: ActorType,
        tracked: TrackedType | None,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        say: Say,
    ) -> None:
        self._type = actor_type
        self._tracked = tracked
        self._limits = limits
        self._loop = loop
        self._say = say
        self._actor: Actor[Any] | None = None
        self._state: TrackedState | None = None
        self._outputs: list[Output] = []
        self._destroys = False
        self._turn_of: Activity | None = None
        self._stray: Activity | None = None
        self._is_stopped = False
        self.exclusive: Activity | None = None
        # Made when first needed: an idle actor is to be small.
        self._activities: dict[int, Activity] | None = None
        self._tasks: set[asyncio.Task[Any]] | None = None
        self._held: list[asyncio.Future[None]] | None = None
        self._requests: dict[int, asyncio.Future[Any]] | None = None
        self._next_request = 0
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
        caller = call.caller
        activity = Activity(
            self,
            call.activity_id,
            caller.connection_id,
            caller.chain,
            clock.monotonic() + call.timeout_s,
            holds=action is not None and action.is_exclusive,
        )
        try:
            if action is None:
                raise RpcNotFound(f"{self._type.name} has no action {call.action!r}.")
            args = action.bind_args(call.args)
        except DenizenError as error:
            self._refuse(activity, error)
            return
        if action.is_async:
            self._start_task(activity, action.function(self._actor, *args))
        else:
            self._run_plainly(activity, action.function, args)

    def _refuse(self, activity: Activity, error: DenizenError) -> None:
        failed = Failed(activity.id or 0, failure_of(error, self.log, "call"))
        self._say(Turn({}, [failed], activity.id))

    def _receive_start(self, start: Start) -> None:
        self.identity = start.identity
        activity = Activity(self, None, holds=True)
        self._actor = self._type.cls(self)
        try:
            if self._tracked is not None:
                self._state = TrackedState(self._tracked, self._limits)
                if start.is_new:
                    activity.touched = self._state.start_new()
                else:
                    self._state.load(start.state)
        except Exception as error:
            self._say(Started(failure_of(error, self.log, "load")))
            return
        self._start_task(activity, self._run_start(start))

    async def _run_start(self, start: Start) -> None:
        actor = self._actor
        assert actor is not None
        if start.is_new and self._overrides("on_create"):
            given = None if start.input is None else values.unpack(start.input)
            await _maybe_await(actor.on_create(given))
        if self._overrides("on_start"):
            await _maybe_await(actor.on_start())
        if self._state is not None and self._state.obj is None:
            raise RuntimeError(
                f"{self._type.cls.__name__}: its state has fields without defaults, so on_create must assign self.state"
            )

    def _receive_hook(self, hook: Hook) -> None:
        if self._activities is not None and hook.activity_id in self._activities:
            return
        activity = Activity(self, hook.activity_id, hook.connection_id)
        run = {
            "connect": self._run_connect,
            "disconnect": self._run_disconnect,
            "destroy": self._run_destroy,
        }[hook.name]
        coroutine = run(hook)
        if coroutine is None:
            self._say(Turn({}, [Reply(hook.activity_id, NULL)], hook.activity_id))
        else:
            self._start_task(activity, coroutine)

    def _run_connect(self, hook: Hook) -> Coroutine[Any, Any, Any] | None:
        connection = Connection(
            hook.connection_id or "", hook.params, hook.principal, self._send_to, self._disconnect
        )
        if "on_before_connect" not in self._type.hooks and "on_connect" not in self._type.hooks:
            self._admit(connection)
            return None
        return self._connect(connection)

    async def _connect(self, connection: Connection) -> None:
        actor = self._actor
        assert actor is not None
        if "on_before_connect" in self._type.hooks:
            hook: Callable[..., Any] = actor.on_before_connect
            wants_principal = len(inspect.signature(hook).parameters) > 1
            given = (connection.principal,) if wants_principal else ()
            connection.state = await _maybe_await(hook(connection.params, *given))
        self._admit(connection)
        if "on_connect" in self._type.hooks:
            await _maybe_await(actor.on_connect(connection))

    def _admit(self, connection: Connection) -> None:
        if self._by_connection is None:
            self._by_connection = {}
        self._by_connection[connection.id] = connection

    def _run_disconnect(self, hook: Hook) -> Coroutine[Any, Any, Any] | None:
        connection = (self._by_connection or {}).get(hook.connection_id or "")
        if connection is None or "on_disconnect" not in self._type.hooks:
            self._forget(hook.connection_id or "")
            return None
        return self._after_disconnect(connection)

    async def _after_disconnect(self, connection: Connection) -> None:
        assert self._actor is not None
        try:
            await _maybe_await(self._actor.on_disconnect(connection))
        finally:
            self._forget(connection.id)

    def _forget(self, connection_id: str) -> None:
        if self._by_connection:
            self._by_connection.pop(connection_id, None)

    def _run_destroy(self, hook: Hook) -> Coroutine[Any, Any, Any] | None:
        assert self._actor is not None
        return _awaited(self._actor.on_destroy) if "on_destroy" in self._type.hooks else None

    def _receive_http(self, start: HttpStart) -> None:
        activity = Activity(self, start.activity_id)
        app = self._type.cls.asgi
        scope = {**start.scope, "actor": self._actor}
        self._start_task(activity, serve_http(app, scope, start.activity_id, self.request_output))

    def _receive_cancel(self, cancel: Cancel) -> None:
        activity = (self._activities or {}).get(cancel.activity_id)
        if activity is None or activity.is_cancelled or activity.task is None:
            return
        activity.is_cancelled = True
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

    def _overrides(self, hook: str) -> bool:
        return getattr(self._type.cls, hook) is not getattr(Actor, hook)

    def _start_task(self, activity: Activity, coroutine: Coroutine[Any, Any, Any]) -> None:
        if activity.holds:
            self.exclusive = activity
        if activity.id is not None:
            if self._activities is None:
                self._activities = {}
            self._activities[activity.id] = activity
        context = copy_context()
        context.run(current.set, activity)
        activity.task = asyncio.Task(
            Steps(activity, coroutine, is_main=True), loop=self._loop, context=context
        )
        self.adopt(activity.task)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Keep a task alive and bound to this actor's life."""
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run_plainly(
        self, activity: Activity, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        """Run a `def` action: one turn, no task."""
        if activity.holds:
            self.exclusive = activity
        before = current.set(activity)
        self.enter(activity)
        try:
            result = function(self._actor, *args)
        except Exception as error:
            self.raised(activity, error)
        else:
            self.returned(activity, result)
        finally:
            current.reset(before)

    def hold(self) -> Any:
        """What a task that may not run now waits for: the end of the exclusive activity (U3)."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        if self._held is None:
            self._held = []
        self._held.append(waiting)
        return next(waiting.__await__())

    def _let_go(self) -> None:
        self.exclusive = None
        held, self._held = self._held, None
        for waiting in held or ():
            if not waiting.done():
                waiting.set_result(None)

    # Turns.

    def enter(self, activity: Activity) -> None:
        """A turn begins."""
        self._turn_of = activity
        tracking.recording.journal = activity.journal

    def suspended(self, activity: Activity) -> None:
        """A turn ended at an await."""
        if activity.holds:
            self._keep_turn(activity)
            return
        self._remember_aliases(activity)
        if tracking.noted or self._outputs or activity.aliases or self._destroys:
            self._end_turn(activity, None)
        else:
            self._turn_of = None

    def returned(self, activity: Activity, result: Any) -> None:
        """The activity ended well."""
        if activity.holds and activity.is_cancelled:
            # It swallowed its cancellation: its caller was told that it failed, so it did.
            self.raised(activity, asyncio.CancelledError())
            return
        if activity.id is None:
            self._end_background(activity, None)
            return
        try:
            reply: Output = Reply(activity.id, values.pack(result))
        except values.Unencodable as problem:
            self.log.error("a result can't be sent", path=problem.path, reason=problem.reason)
            self.raised(
                activity, ResultUnsendable("The action's result can't be sent; its log says why.")
            )
            return
        self._end(activity, reply)

    def raised(self, activity: Activity, error: BaseException) -> None:
        """The activity ended with an error."""
        failure = failure_of(error, self.log, "activity")
        if activity.holds:
            self._undo(activity)
        if activity.id is None:
            self._end_background(activity, failure)
        else:
            self._end(activity, Failed(activity.id, failure))

    def _end(self, activity: Activity, last: Output) -> None:
        assert activity.id is not None
        if self._activities is not None:
            self._activities.pop(activity.id, None)
        self._outputs.append(last)
        self._finish_turn(activity, activity.id)

    def _finish_turn(self, activity: Activity, ended: int | None) -> None:
        if not activity.holds:
            self._end_turn(activity, ended)
            return
        tracking.noted.update(activity.touched or ())
        self._outputs[:0] = activity.outputs or []
        self._end_turn(activity, ended)
        spawned, activity.spawned = activity.spawned, None
        activity.holds = False
        activity.journal = activity.touched = activity.outputs = None
        self._let_go()
        for coroutine, supervised, name in spawned or ():
            self.spawn(coroutine, supervised=supervised, name=name)

    def _end_background(self, activity: Activity, failure: Failure | None) -> None:
        """The end of the start (it `holds`), or of a spawned task."""
        if activity.holds:
            self._say(Started(failure))
            if failure is not None:
                self._outputs.clear()
                tracking.noted.clear()
                return
        elif failure is not None and activity.is_supervised:
            self._outputs.append(Crash("A task of the actor raised; its log has the error."))
        self._finish_turn(activity, None)

    def _keep_turn(self, activity: Activity) -> None:
        """A turn of a holding activity ended: only its requests may leave before its end."""
        assert activity.touched is not None and activity.outputs is not None
        activity.touched |= tracking.noted
        tracking.noted.clear()
        requests = [output for output in self._outputs if isinstance(output, Request)]
        if len(requests) != len(self._outputs):
            activity.outputs += [o for o in self._outputs if not isinstance(o, Request)]
        self._outputs.clear()
        self._turn_of = None
        tracking.recording.journal = None
        if requests:
            self._say(Turn({}, list(requests)))

    def _remember_aliases(self, activity: Activity) -> None:
        if tracking.noted and self._state is not None and self._state.obj is not None:
            mutable = self._state.mutable_among(tracking.noted)
            if mutable:
                activity.aliases = mutable | (activity.aliases or set())

    def _end_turn(self, activity: Activity, ended: int | None) -> None:
        """Capture what the turn changed and say it."""
        tracking.recording.journal = None
        names = tracking.noted
        if activity.aliases:
            names |= activity.aliases
        changes: dict[str, bytes | None] = {}
        if names and self._state is not None and self._state.obj is not None:
            try:
                changes = self._capture(names)
            except (StateUnstorable, StateTooLarge) as error:
                self._roll_back(activity, names, error, ended)
        names.clear()
        self._turn_of = None
        outputs, self._outputs = self._outputs, []
        destroys, self._destroys = self._destroys, False
        if changes or outputs or ended is not None or destroys:
            size = self._state.size_bytes if changes and self._state is not None else 0
            self._say(Turn(changes, outputs, ended, destroys, size))

    def _capture(self, names: set[str]) -> dict[str, bytes | None]:
        assert self._state is not None
        changes = self._state.capture(names)
        if changes and self._overrides("on_state_change") and self._actor is not None:
            names.clear()
            try:
                self._actor.on_state_change()
            except Exception as error:
                failure_of(error, self.log, "on_state_change")
            changes.update(self._state.capture(names))
        return changes

    def _roll_back(
        self, activity: Activity, names: set[str], error: DenizenError, ended: int | None
    ) -> None:
        """A value can't be stored: the turn is undone and its activity fails."""
        assert self._state is not None
        failure = failure_of(error, self.log, "turn")
        if activity.journal is not None:
            activity.journal.undo(self._state.put)
        else:
            self._state.restore(names)
        self._outputs.clear()
        self._destroys = False
        if ended is not None:
            self._outputs.append(Failed(ended, failure))
        elif activity.task is not None and not activity.task.done():
            # It goes on from its await with the error, unless it ends before.
            activity.error = error
        activity.spawned = None

    def _undo(self, activity: Activity) -> None:
        """An exclusive activity failed: everything is as before it."""
        if activity.journal is not None and self._state is not None:
            tracking.recording.journal = None
            activity.journal.undo(self._state.put)
        tracking.noted.clear()
        activity.touched = set()
        activity.outputs = []
        self._destroys = False
        for coroutine, _, _ in activity.spawned or ():
            coroutine.close()
        activity.spawned = None
        self._outputs.clear()

    def _note_stray(self) -> None:
        """Code of the actor runs outside of any turn (a bare loop callback): a turn is made for it."""
        if self._turn_of is None and self._stray is None and not self._is_stopped:
            self._stray = Activity(self, None)
            if self._state is not None and self._tracked is not None:
                self._stray.aliases = set(self._tracked.fields)
            self._loop.call_soon(self._end_stray)

    def _end_stray(self) -> None:
        stray, self._stray = self._stray, None
        if stray is not None:
            self._end_turn(stray, None)

    # What the SDK asks for (`sdk.actor.Context`).

    @property
    def connections(self) -> Connections:
        if self._by_connection is None:
            self._by_connection = {}
        return Connections(self._by_connection)

    @property
    def calls(self) -> ActorCalls:
        return ActorCalls(lambda where: Outgoing(self, where), self.identity.namespace)

    @property
    def log(self) -> Log:
        identity = self.identity
        segment = ",".join(identity.key) or f"~{identity.actor_id}"
        return _log.bind(actor=f"{identity.type}/{segment}", generation=identity.generation)

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

    def spawn(
        self, coroutine: Coroutine[Any, Any, Any], *, supervised: bool, name: str | None
    ) -> None:
        if self._is_stopped:
            coroutine.close()
            return
        parent = self._turn_of
        if parent is not None and parent.holds and parent.spawned is not None:
            parent.spawned.append((coroutine, supervised, name))
            return
        activity = Activity(self, None)
        activity.is_supervised = supervised
        if parent is not None and parent.aliases:
            activity.aliases = set(parent.aliases)
        self._start_task(activity, coroutine)

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


async def _awaited(hook: Callable[[], Any]) -> Any:
    return await _maybe_await(hook())


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
