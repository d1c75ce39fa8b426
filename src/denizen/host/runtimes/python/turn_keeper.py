"""Where an actor's turns begin and end: what they changed is captured, what they want to send is gathered.

Each turn ends in `_end_turn`, which says one `Turn` to the host: the fields that changed and the outputs,
in order. An exclusive activity is *holding*: its turns are kept in its `Holding` and said as one at its
end, or undone.
"""

import asyncio
from contextvars import Context, copy_context
from typing import Any

from denizen.core.errors import (
    CommitTooLarge,
    DenizenError,
    StateTooLarge,
    StateUnstorable,
)
from denizen.core.limits import Limits
from denizen.host.runtimes.python import tracking
from denizen.host.runtimes.python.failures import failure_of
from denizen.host.runtimes.python.tracking import TrackedState
from denizen.host.runtimes.python.turns import Activity, Code, Steps, current
from denizen.sdk.actor import Actor, ActorType
from denizen.telemetry import logs
from denizen.telemetry.logs import Log
from denizen.wire import values
from denizen.wire.runtime import (
    Barrier,
    Crash,
    Disconnect,
    Failed,
    Failure,
    Identity,
    Output,
    Reply,
    Request,
    Say,
    Started,
    Turn,
)

_log = logs.get("actor")


class TurnKeeper:
    """The turns of one actor. `body.PythonBody` is one that also takes messages and serves the SDK."""

    __slots__ = (
        "_activities",
        "_actor",
        "_destroys",
        "_held",
        "_is_stopped",
        "_limits",
        "_loop",
        "_outputs",
        "_say",
        "_state",
        "_stray",
        "_tasks",
        "_turn_of",
        "_type",
        "exclusive",
        "identity",
    )

    identity: Identity

    def __init__(
        self, actor_type: ActorType, limits: Limits, loop: asyncio.AbstractEventLoop, say: Say
    ) -> None:
        self._type = actor_type
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

    @property
    def log(self) -> Log:
        """Lines with the actor's address in each."""
        identity = self.identity
        segment = ",".join(identity.key) or f"~{identity.actor_id}"
        return _log.bind(actor=f"{identity.type}/{segment}", generation=identity.generation)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Keep a task alive and bound to this actor's life."""
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def hold(self) -> Any:
        """What a task that may not run now waits for: the end of the exclusive activity (U3)."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        if self._held is None:
            self._held = []
        self._held.append(waiting)
        return next(waiting.__await__())

    # How a turn begins and ends (U1).

    def enter(self, activity: Activity) -> None:
        """A turn begins."""
        self._turn_of = activity
        holding = activity.holding
        tracking.recording.journal = None if holding is None else holding.journal
        if tracking.noted:
            # Left by a stray of some actor: that one compares all of its fields anyway.
            tracking.noted.clear()

    def suspended(self, activity: Activity) -> None:
        """A turn ended at an await."""
        if activity.holding is not None:
            self._keep_turn(activity)
            return
        self._remember_aliases(activity)
        if tracking.noted or self._outputs or activity.aliases or self._destroys:
            self._end_turn(activity, None)
        else:
            self._turn_of = None

    def returned(self, activity: Activity, result: Any) -> None:
        """The activity ended well."""
        if activity.holding is not None and activity.is_cancelled:
            # It swallowed its cancellation: its caller was told that it failed, so it did.
            self.raised(activity, asyncio.CancelledError())
        elif activity.id is None:
            self._end_background(activity, None)
        else:
            try:
                action = activity.action
                packed = values.pack(result) if action is None else action.pack_result(result)
            except values.Unencodable as problem:
                self.raised(activity, problem)
                return
            self._end(activity, activity.id, Reply(activity.id, packed))

    def raised(self, activity: Activity, error: BaseException) -> None:
        """The activity ended with an error."""
        failure = failure_of(error, self.log, "activity")
        if activity.holding is not None:
            self._undo(activity)
        if activity.id is None:
            self._end_background(activity, failure)
        else:
            self._end(activity, activity.id, Failed(activity.id, failure))

    def _end(self, activity: Activity, activity_id: int, last: Output) -> None:
        activities = self._activities
        if activities:
            activities.pop(activity_id, None)
            if not activities:
                # Even an emptied dictionary is a twelfth of what an idle actor may take.
                self._activities = None
        self._outputs.append(last)
        if activity.holding is None:
            if activity.has_tasks:
                self._remember_aliases(activity)
            self._end_turn(activity, activity_id)
        else:
            self._end_holding(activity, activity_id)

    def _end_background(self, activity: Activity, failure: Failure | None) -> None:
        """The end of the actor's start (it is holding), or of a spawned task."""
        if activity.holding is None:
            if failure is not None and activity.is_supervised:
                self._outputs.append(_crash())
            if self._end_turn(activity, None) is not None and activity.is_supervised:
                self._say(Turn({}, [_crash()]))
        else:
            if failure is None:
                failure = self._end_holding(activity, None)
            self._say(Started(failure))

    # Exclusive activities.

    def _keep_turn(self, activity: Activity) -> None:
        """A turn of a holding activity ended: only what it waits for may leave before its end.

        Requests and barriers leave behind what came before the activity, not behind its own changes.
        """
        holding = activity.holding
        assert holding is not None
        holding.touched |= tracking.noted
        tracking.noted.clear()
        requests = [output for output in self._outputs if isinstance(output, Request | Barrier)]
        holding.outputs += [o for o in self._outputs if not isinstance(o, Request | Barrier)]
        self._outputs.clear()
        self._turn_of = None
        tracking.recording.journal = None
        if requests:
            self._say(Turn({}, list(requests)))

    def _end_holding(self, activity: Activity, ended: int | None) -> Failure | None:
        """Say all that a holding activity did as one turn, and let the others go on."""
        holding = activity.holding
        assert holding is not None
        # Its tasks live on, and may hold whatever it read.
        activity.aliases = self._mutable_among(holding.journal.names) or None
        tracking.noted.update(holding.touched)
        self._outputs[:0] = holding.outputs
        failure = self._end_turn(activity, ended)
        activity.holding = None
        self._let_go()
        for code, supervised, name in holding.spawned:
            self._spawn(code, supervised, name, activity.aliases)
        return failure

    def _undo(self, activity: Activity) -> None:
        """A holding activity failed: everything is as before it."""
        holding = activity.holding
        assert holding is not None
        tracking.recording.journal = None
        if self._state is not None:
            holding.journal.undo(self._state.put)
        tracking.noted.clear()
        holding.touched.clear()
        holding.outputs.clear()
        self._outputs.clear()
        self._destroys = False
        for code, _, _ in holding.spawned:
            code.close()
        holding.spawned.clear()

    def _let_go(self) -> None:
        self.exclusive = None
        held, self._held = self._held, None
        for waiting in held or ():
            if not waiting.done():
                waiting.set_result(None)

    # What a turn changed.

    def _end_turn(self, activity: Activity, ended: int | None) -> Failure | None:
        """Capture what the turn changed and say it; why it was rolled back, if it was."""
        failure: Failure | None = None
        names = tracking.noted
        if activity.aliases:
            names |= activity.aliases
        changes: dict[str, bytes | None] = {}
        state = self._state
        if names:
            if state is not None and state.obj is not None:
                try:
                    changes = state.compare(names)
                    if changes and self._type.sees_changes:
                        self._tell_change()
                        changes = state.compare(names)
                    state.remember(changes)
                except (StateUnstorable, StateTooLarge, CommitTooLarge) as error:
                    changes = {}
                    failure = self._roll_back(activity, names, error, ended)
            names.clear()
        tracking.recording.journal = None
        self._turn_of = None
        outputs = self._outputs
        self._outputs = []
        if ended is not None and len(outputs) > 1:
            outputs = _goodbye_last(outputs, activity.connection_id)
        destroys, self._destroys = self._destroys, False
        if changes:
            assert state is not None
            self._say(Turn(changes, outputs, ended, destroys, state.size_bytes))
        elif outputs or ended is not None or destroys:
            self._say(Turn(changes, outputs, ended, destroys))
        return failure

    def _tell_change(self) -> None:
        """Run `on_state_change` within the turn; what it changes joins the turn."""
        assert self._actor is not None
        try:
            self._actor.on_state_change()
        except Exception as error:
            failure_of(error, self.log, "on_state_change")

    def _roll_back(
        self, activity: Activity, names: set[str], error: DenizenError, ended: int | None
    ) -> Failure:
        """A value can't be stored: the turn is undone and its activity fails."""
        failure = failure_of(error, self.log, "turn")
        if activity.holding is not None:
            self._undo(activity)
        else:
            assert self._state is not None
            self._state.restore(names)
            self._outputs.clear()
            self._destroys = False
        if ended is not None:
            self._outputs.append(Failed(ended, failure))
        else:
            # It goes on from its await with the error: what it waits for may have been undone.
            activity.error = error
            if activity.task is not None:
                activity.task.cancel()
        return failure

    def _remember_aliases(self, activity: Activity) -> None:
        if tracking.noted:
            mutable = self._mutable_among(tracking.noted)
            if mutable:
                activity.aliases = mutable | (activity.aliases or set())

    def _mutable_among(self, names: set[str]) -> set[str]:
        state = self._state
        return set() if state is None or state.obj is None else state.mutable_among(names)

    def _note_stray(self) -> None:
        """Code of the actor runs outside of any turn (a bare loop callback): one is made for it.

        While an exclusive activity waits, nothing may be committed: it is that one's turn then.
        """
        if self.exclusive is not None and self.exclusive.holding is not None:
            tracking.recording.journal = self.exclusive.holding.journal
        if self._stray is None and not self._is_stopped:
            self._stray = Activity(self, None)
            if self._type.state_type is not None:
                self._stray.aliases = set(self._type.state_type.fields)
            self._loop.call_soon(self._end_stray)

    def _end_stray(self) -> None:
        stray, self._stray = self._stray, None
        if stray is None or self._is_stopped:
            return
        holder = self.exclusive
        if holder is None or holder.holding is None:
            self.enter(stray)
            self._end_turn(stray, None)
        else:
            self.enter(holder)
            tracking.noted.update(stray.aliases or ())
            self._keep_turn(holder)

    def spawn(self, coroutine: Code, *, supervised: bool, name: str | None) -> None:
        """Run a coroutine beside the actions. Asked for by an exclusive one, it begins at its end."""
        if self._is_stopped:
            coroutine.close()
            return
        parent = self._turn_of
        if parent is not None and parent.holding is not None:
            parent.holding.spawned.append((coroutine, supervised, name))
            return
        aliases = self._mutable_among(tracking.noted) if parent is not None else set()
        if parent is not None and parent.aliases:
            aliases |= parent.aliases
        self._spawn(coroutine, supervised, name, aliases)

    def _spawn(
        self, code: Code, supervised: bool, name: str | None, aliases: set[str] | None
    ) -> None:
        activity = Activity(self, None)
        activity.is_supervised = supervised
        activity.aliases = set(aliases) if aliases else None
        self._start_task(activity, code, name)

    def _start_task(self, activity: Activity, code: Code, name: str | None = None) -> None:
        """Run an activity as a task of its own, from its beginning."""
        context = copy_context()
        context.run(current.set, activity)
        steps = Steps(activity, code, context, is_main=True)
        activity.task = asyncio.Task(steps, loop=self._loop, context=Context(), name=name)
        self.adopt(activity.task)


def _goodbye_last(outputs: list[Output], connection_id: str | None) -> list[Output]:
    """The outputs of a turn that answered a connection: if it also says goodbye to it, that last."""
    for at, output in enumerate(outputs):
        if type(output) is Disconnect and output.connection_id == connection_id:
            return [*outputs[:at], *outputs[at + 1 :], output]
    return outputs


def _crash() -> Crash:
    return Crash("A task of the actor raised; its log has the error.")
