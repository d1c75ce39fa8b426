"""One awake actor in its host: what arrives for it, what it says, what leaves.

The way of a call: `call` asks the admission whether it may start, and hands it to the body; the body says
turns to `hear`, whose changes and outputs go to the ledger; when what came before an output is durable,
`release` lets it leave. Nothing here looks into a state or runs an actor's code.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from denizen.core import clock
from denizen.core.errors import (
    ActorCrashed,
    ActorDestroyed,
    CallCycle,
    DenizenError,
    Overloaded,
    RpcTimedOut,
    from_wire,
)
from denizen.core.limits import Limits
from denizen.host.activity import NOBODY, Activity, HttpActivity, hook_activity
from denizen.host.admission import Admission
from denizen.host.audience import Audience, Listener
from denizen.host.deadlines import Deadlines, Queue
from denizen.host.ledger import Ledger
from denizen.host.ports import StatePort
from denizen.host.waits import closes_a_circle
from denizen.wire.commits import Record, Snapshot
from denizen.wire.runtime import (
    Answer,
    Barrier,
    Body,
    Cancel,
    Crash,
    Disconnect,
    Event,
    Failed,
    Failure,
    Hook,
    HttpReceive,
    HttpSend,
    Identity,
    Output,
    Reply,
    Request,
    Say,
    Start,
    Started,
    ToHost,
    Turn,
    TypeInfo,
)

_START_COMMIT_DELAY_S = 0.02
_CONNECT_HOOKS = ("on_before_connect", "on_connect")


class Surroundings(Protocol):
    """What an instance needs of its host."""

    limits: Limits
    deadlines: Deadlines
    state: StatePort

    def make_body(self, type_name: str, say: Say) -> Body: ...

    def send_request(
        self,
        caller: "Instance",
        made_by: Activity | None,
        request: Request,
        chain: tuple[str, ...],
        timeout_s: float,
    ) -> None:
        """A call to another actor leaves; its answer comes by `caller.answer`."""
        ...

    def soon(self, function: Callable[[], None]) -> None:
        """Run something after what is under way."""
        ...

    def later(self, delay_s: float, function: Callable[[], None]) -> None: ...

    def forget(self, instance: "Instance") -> None:
        """The instance has ended: the next who asks wakes another."""
        ...


class Instance:
    """One life of an actor: from its start until it is destroyed, crashes, or the host stops."""

    __slots__ = (
        "_activities",
        "_admission",
        "_audience",
        "_body",
        "_ended",
        "_farewell",
        "_host",
        "_is_ending",
        "_is_started",
        "_last_hook",
        "_ledger",
        "_next_activity",
        "_start_deadline",
        "_starting",
        "record",
        "type_info",
    )

    def __init__(self, host: Surroundings, type_info: TypeInfo, record: Record) -> None:
        self._host = host
        self.type_info = type_info
        self.record = record
        self._admission: Admission[Activity] = Admission()
        self._ledger = Ledger(self, host.state, record, host.limits.commit_bytes_max)
        self._audience = Audience()
        self._body = host.make_body(type_info.name, self.hear)
        self._is_started = False
        self._is_ending = False
        self._ended: DenizenError | None = None
        self._last_hook: Activity | None = None
        self._farewell: list[Output] | None = None
        self._start_deadline: _StartDeadline | None = None
        self._next_activity = 0
        # Made when first needed: an idle actor is to be small.
        self._activities: dict[int, Activity] | None = None
        # Admitted, to run at the loop's next turn; whoever is admitted meanwhile runs behind them.
        self._starting: list[Activity] | None = None

    @property
    def actor_id(self) -> str:
        return self.record.actor_id

    @property
    def ended(self) -> DenizenError | None:
        """Why this life is over; None while it goes on."""
        return self._ended

    @property
    def lets_in_all(self) -> bool:
        """Whether it is up and has no hook that decides on connections."""
        return self._is_started and self.type_info.hooks.isdisjoint(_CONNECT_HOOKS)

    @property
    def is_ending(self) -> bool:
        """Whether it is being destroyed."""
        return self._is_ending

    async def until_ended(self) -> None:
        """Return once this life is over."""
        while self._ended is None:
            await self._ledger.change()

    async def until_durable(self) -> None:
        """Return once the actor is known to the store. Raises why it never will be."""
        if not await self._ledger.until_durable():
            assert self._ended is not None
            raise self._ended

    # Starting.

    def start(self, snapshot: Snapshot | None) -> None:
        """Begin: from what was stored, or anew (None), in which case the first commit creates the actor."""
        is_new = self._ledger.begin(snapshot)
        record = self.record
        identity = Identity(
            record.namespace,
            record.type,
            record.key,
            record.actor_id,
            record.tags,
            record.region,
            self._ledger.generation,
        )
        state = {} if snapshot is None else snapshot.state
        self._start_deadline = _StartDeadline(self)
        self._start_deadline.expiry = self._host.deadlines.add(
            self._start_deadline, self._host.limits.action_timeout_s
        )
        self._body.receive(Start(identity, is_new, state, record.input))

    def start_expired(self) -> None:
        """The start took too long: who waits for it is told, and the next call tries again."""
        self.end(ActorCrashed("The actor's start took too long: do its hooks wait for something?"))

    def _forget_start_deadline(self) -> None:
        deadline, self._start_deadline = self._start_deadline, None
        if deadline is not None:
            deadline.expiry.pop(deadline, None)

    def _started(self, started: Started) -> None:
        self._forget_start_deadline()
        if started.failure is not None:
            failure = started.failure
            self.end(from_wire(failure.code, failure.message, _metadata(failure)))
            return
        self._is_started = True
        # The first call's changes share the start's commit if they come soon: one sync, not two.
        self._ledger.open(partial(self._host.later, _START_COMMIT_DELAY_S))
        self._start_soon(self._admission.finish(True))

    # What arrives.

    def call(self, activity: Activity) -> None:
        """A call has come: it runs, waits for its turn, or is refused."""
        info = self.type_info.actions.get(activity.action)
        if info is not None:
            activity.is_exclusive = info.is_exclusive
            if activity.timeout_s is None or info.timeout_s < activity.timeout_s:
                activity.timeout_s = info.timeout_s
        elif activity.timeout_s is None:
            activity.timeout_s = self._host.limits.action_timeout_s
        if (
            activity.caller.chain
            and self._admission.must_wait(activity.is_exclusive)
            and self._waits_for_itself(activity)
        ):
            activity.fail(
                CallCycle(
                    f"The call of {self.type_info.name}.{activity.action} waits, through a chain of "
                    "calls, for itself: don't call back into an exclusive action."
                )
            )
            return
        self.begin(activity)

    def _waits_for_itself(self, activity: Activity) -> bool:
        if self.actor_id in activity.caller.chain:
            return True
        return activity.made_by is not None and closes_a_circle(activity.made_by, self)

    def waiting(self) -> list[Activity]:
        """The activities that wait to be let in (`host.waits.Actor`)."""
        return [activity for activity in (self._activities or {}).values() if not activity.has_run]

    def begin(self, activity: Activity) -> None:
        """Number an activity and run it when it may run."""
        if self._ended is not None or self._is_ending:
            activity.fail(self._ended or _destroyed(self.actor_id))
            return
        if self._activities and len(self._activities) >= self._host.limits.calls_per_actor_max:
            activity.fail(Overloaded("The actor has too many calls under way: try again later."))
            return
        self._admit(activity)

    def _admit(self, activity: Activity) -> None:
        activities = self._activities
        if activities is None:
            activities = self._activities = {}
        activity_id = activity.id = self._next_activity
        self._next_activity = activity_id + 1
        activities[activity_id] = activity
        activity.doer = self
        if activity.timeout_s is not None:
            activity.expiry = self._host.deadlines.add(activity, activity.timeout_s)
        if self._admission.arrive(activity, activity.is_exclusive):
            if self._starting is None:
                activity.is_running = activity.has_run = True
                self._body.receive(activity.message())
            else:
                self._starting.append(activity)

    def _start_soon(self, activities: list[Activity]) -> None:
        """Run what was admitted once the body is done with what it says now (A3)."""
        if self._starting is None:
            self._starting = []
            self._host.soon(self._start_waiting)
        self._starting += activities

    def _start_waiting(self) -> None:
        starting = self._starting or []
        for activity in starting:  # grows while it is walked, by those who are admitted meanwhile
            if activity.is_given_up:
                # It was given up between being let in and running.
                self._activity_over(activity)
            elif self._ended is None:
                activity.is_running = activity.has_run = True
                self._body.receive(activity.message())
        self._starting = None

    def expire(self, activity: Activity) -> None:
        """An activity is over its time: its caller is told now, and its code is cancelled."""
        assert activity.timeout_s is not None
        error = RpcTimedOut(
            f"The action took longer than {activity.timeout_s:g} s and was cancelled."
        )
        activity.fail(error)
        self.cancel(activity)

    def cancel(self, activity: Activity) -> None:
        """Nobody wants its answer any more: unwind it."""
        if activity.is_running:
            self._body.receive(Cancel(activity.id))
            return
        started = self._admission.withdraw(activity)
        if started is not None:
            self._drop(activity.id)
            self._start_soon(started)

    # Connections.

    def join(self, connection: Listener) -> None:
        """Take in a connection. Raises `TooManyConnections`, or why the actor is gone."""
        if self._ended is not None or self._is_ending:
            raise self._ended or _destroyed(self.actor_id)
        self._audience.join(connection, self._host.limits.connections_per_actor_max)

    def leave(self, connection: Listener) -> None:
        """A connection has ended."""
        self._audience.leave(connection)
        if self._ended is None and not self._is_ending:
            self.tell(Hook(0, "disconnect", connection.id))

    def tell(self, hook: Hook) -> None:
        """Run a hook that tells of what has happened.

        Never refused, or the body would know other connections than there are.
        """
        self._admit(hook_activity(NOBODY, hook))

    # What the body says.

    def hear(self, message: ToHost) -> None:
        """A turn ended, or the start did (`wire.runtime.Say`)."""
        if type(message) is Started:
            self._started(message)
        elif type(message) is Turn and self._ended is None:
            self._hear_turn(message)

    def _hear_turn(self, turn: Turn) -> None:
        if turn.destroys and not self._is_ending:
            self._begin_to_end()
        outputs = turn.outputs
        activity: Activity | None = None
        if turn.ended is not None and self._activities is not None:
            activity = self._activities.get(turn.ended)
            if activity is not None and activity.is_answered:
                # An answer that nobody waits for needn't wait at the gate.
                outputs = [o for o in outputs if type(o) is not Reply and type(o) is not Failed]
        if self._is_ending or not self._is_started:
            outputs = self._sort_out(outputs)
        released = self._ledger.add(turn.changes, outputs, turn.state_bytes)
        if activity is not None and activity.is_running:
            activity.is_running = False
            self._activity_over(activity)
        if released:
            self.release(released)
        if self._is_ending and not self._admission.running:
            self._host.soon(self._run_last_hook)

    def _sort_out(self, outputs: list[Output]) -> list[Output]:
        """What of a turn's outputs goes the usual way in a start or an end.

        A start's requests leave at once: nothing comes before them. Replies of an actor that ends
        wait for its tombstone; the rest doesn't, or what runs yet could never end.
        """
        usual: list[Output] = []
        for output in outputs:
            if not self._is_started and isinstance(output, Request | Barrier):
                self.release([output])
            elif self._is_ending and isinstance(output, Reply | Failed):
                if self._farewell is None:
                    self._farewell = []
                self._farewell.append(output)
            else:
                usual.append(output)
        return usual

    def _activity_over(self, activity: Activity) -> None:
        if activity.is_answered:
            self._drop(activity.id)
        started = self._admission.finish(activity.is_exclusive)
        if started:
            self._start_soon(started)
        if activity is self._last_hook:
            # `on_destroy` has ended, well or not: the tombstone is the last commit.
            self._ledger.finish(self._farewell or [])

    # What leaves.

    def release(self, outputs: list[Output]) -> None:
        """What came before these outputs is durable: they leave (`host.ledger.Owner`)."""
        for output in outputs:
            if type(output) is Reply:
                activity = self._take(output.activity_id)
                if activity is not None:
                    activity.succeed(output.value)
            elif type(output) is Event:
                self._audience.deliver(output)
            elif type(output) is Failed:
                activity = self._take(output.activity_id)
                if activity is not None:
                    activity.fail_with(output.failure)
            else:
                _RELEASERS[type(output)](self, output)

    def _take(self, activity_id: int) -> Activity | None:
        """The activity that is being answered; it is forgotten, unless its code still runs."""
        activities = self._activities
        activity = None if activities is None else activities.get(activity_id)
        if activity is not None and not activity.is_running:
            self._drop(activity_id)
        return activity

    def _drop(self, activity_id: int) -> None:
        """An activity has ended and was answered."""
        activities = self._activities
        if activities:
            activities.pop(activity_id, None)
            if not activities:
                # Even an emptied dictionary is a twelfth of what an idle actor may take.
                self._activities = None

    def _disconnect(self, output: Disconnect) -> None:
        self._audience.say_goodbye(output.connection_id, 1000, output.reason)

    def _request(self, request: Request) -> None:
        maker = (self._activities or {}).get(
            -1 if request.activity_id is None else request.activity_id
        )
        timeout_s = request.timeout_s
        if maker is not None:
            chain = (*maker.caller.chain, self.actor_id)
            if maker.deadline_at is not None:
                timeout_s = min(timeout_s, maker.deadline_at - clock.monotonic())
        else:
            # A task of its own keeps nobody waiting; a start keeps everybody waiting.
            chain = () if self._is_started else (self.actor_id,)
        # What has no time left is sent all the same, to be told so like any other.
        self._host.send_request(self, maker, request, chain, max(timeout_s, 0.0))

    def answer(self, request_id: int, value: bytes | None, failure: Failure | None) -> None:
        """What came of a request of the body."""
        if self._ended is None:
            self._body.receive(Answer(request_id, value, failure))

    def _pass_barrier(self, barrier: Barrier) -> None:
        self.answer(barrier.request_id, None, None)

    def _http(self, output: HttpReceive | HttpSend) -> None:
        activity = (self._activities or {}).get(output.activity_id)
        if isinstance(activity, HttpActivity):
            activity.exchange.serve(output)

    def _crash(self, crash: Crash) -> None:
        self.end(ActorCrashed(crash.reason))

    # Ending.

    def _begin_to_end(self) -> None:
        """The actor asked for its end: nothing new begins, nobody is answered before the last commit."""
        self._is_ending = True
        waiting = [
            activity
            for activity in (self._activities or {}).values()
            if not activity.has_run and not activity.is_answered
        ]
        for activity in waiting:
            activity.fail(_destroyed(self.actor_id))
        for activity in waiting:
            self.cancel(activity)

    def _run_last_hook(self) -> None:
        """Nothing runs any more: `on_destroy`, then the last commit."""
        if self._ended is not None or self._admission.running or self._last_hook is not None:
            return
        timeout_s = self._host.limits.action_timeout_s
        self._last_hook = hook_activity(NOBODY, Hook(0, "destroy"), timeout_s)
        self._last_hook.is_exclusive = True
        self._admit(self._last_hook)

    def tombstone_written(self) -> None:
        """The actor is destroyed (`host.ledger.Owner`)."""
        self.end(_destroyed(self.actor_id))

    def dismiss(self, error: DenizenError) -> None:
        """Answer the calls of its connections and close them. What runs may go on."""
        for activity in list((self._activities or {}).values()):
            if self._audience.has(activity.asker):
                activity.fail(error)
        self._audience.dismiss(error)

    def end(self, error: DenizenError) -> None:
        """This life is over: who waits is told why, connections are closed with the code for it."""
        if self._ended is not None:
            return
        self._ended = error
        self._forget_start_deadline()
        if self._last_hook is not None:
            self._last_hook.forget_deadline()
        self._body.stop()
        self._host.forget(self)
        self._ledger.close()
        activities, self._activities = self._activities, None
        for activity in list((activities or {}).values()):
            activity.fail(error)
        self._audience.dismiss(error)


class _StartDeadline:
    """Ends an actor whose start takes too long (`host.deadlines.Expiring`)."""

    __slots__ = ("_instance", "expiry")

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.expiry: Queue = {}

    def expire(self) -> None:
        self._instance.start_expired()


def _destroyed(actor_id: str) -> ActorDestroyed:
    return ActorDestroyed(f"The actor {actor_id} was destroyed.")


def _metadata(failure: Failure) -> Any:
    return failure.metadata if failure.metadata is not None else None


_RELEASERS: dict[type[Any], Callable[[Instance, Any], None]] = {
    Disconnect: Instance._disconnect,
    Request: Instance._request,
    Barrier: Instance._pass_barrier,
    HttpReceive: Instance._http,
    HttpSend: Instance._http,
    Crash: Instance._crash,
}
