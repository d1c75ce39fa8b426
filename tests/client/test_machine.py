"""The connection's machine under every order of events that hypothesis can think of.

A small model stands for the world: a server's side of one socket, a timer, a caller for each call.
Named invariants, as they are referred to in failures:

- C1 every call settles exactly once, and a forgotten one never
- C2 calls leave in the order in which they came, and none leaves twice
- C3 while the connection is open, the server's subscriptions are the wanted ones
- C4 bounds hold: calls under way, calls that wait
- C5 there is never more than one socket (or attempt), and a timer exactly while waiting
- C6 nothing waits that could be sent, or for a connection that nobody is going to open
- C7 a refused connection is left alone for its pause
"""

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from denizen.client import effects
from denizen.client.endings import Ending
from denizen.client.machine import ConnectionMachine, State
from denizen.client.settings import Settings
from denizen.core.errors import ActorDestroyed, Forbidden, NotConnected, OutcomeUnknown, Overloaded
from denizen.wire.v1.frames import ErrorFrame, EventFrame, FailureFrame, OutputFrame

SETTINGS = Settings(
    waiting_calls_max=3,
    waiting_bytes_max=100,
    calls_in_flight_max=2,
    healthy_after_s=5,
    refusal_pause_s=1,
    idle_s=60,
)
EVENTS = st.sampled_from(["changed", "joined"])
CODES = st.sampled_from([1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013, 4000])


class World(RuleBasedStateMachine):
    """The machine, and everything around it as simply as it can be."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = ConnectionMachine(SETTINGS)
        self.now = 1000.0
        self.next_id = 0
        self.unsettled: set[int] = set()
        self.on_server: list[int] = []
        self.left: list[int] = []
        self.socket: str | None = None
        self.server_events: set[str] = set()
        self.wanted_events: set[str] = set()
        self.is_held = False
        self.is_given_up = False
        self.refused_until = 0.0
        self.sizes: dict[int, int] = {}
        self.has_timer = False

    @property
    def waiting(self) -> set[int]:
        return self.unsettled - set(self.left)

    def perform(self, todo: list[effects.Effect]) -> None:
        for effect in todo:
            match effect:
                case effects.SendCall(call_id, _):
                    assert self.socket == "open", "a call was sent without a socket"
                    assert call_id in self.unsettled, "C1: a settled call was sent"
                    assert not self.left or call_id > self.left[-1], "C2"
                    self.left.append(call_id)
                    self.on_server.append(call_id)
                case effects.Return(call_id, _) | effects.Fail(call_id, _):
                    assert call_id in self.unsettled, "C1: settled twice, or after it was forgotten"
                    self.unsettled.remove(call_id)
                case effects.SendSubscription(event, is_on):
                    assert self.socket == "open", "a subscription was sent without a socket"
                    (self.server_events.add if is_on else self.server_events.remove)(event)
                case effects.OpenSocket():
                    assert self.socket is None, "C5: a second socket"
                    assert self.now >= self.refused_until, "C7: asked again too soon"
                    self.socket = "opening"
                    self.is_given_up = False
                case effects.CloseSocket():
                    assert self.socket is not None, "C5: no socket to close"
                    self.socket = None
                    self.on_server.clear()
                case effects.Retry(at_least_s, at_most_s):
                    assert not self.has_timer, "C5: a second timer"
                    assert 0 <= at_least_s <= at_most_s
                    self.has_timer = True
                case effects.CancelRetry():
                    assert self.has_timer, "C5: no timer to cancel"
                    self.has_timer = False
                case effects.Deliver(event, _):
                    assert event in self.wanted_events, "an event that nobody wants"

    @rule(size=st.integers(1, 60))
    def call(self, size: int) -> None:
        self._call(b"x" * size)

    @rule()
    def connect(self) -> None:
        self.is_held = True
        self.perform(self.machine.hold(self.now))
        self._call(None)

    def _call(self, payload: bytes | None) -> None:
        call_id, self.next_id = self.next_id, self.next_id + 1
        waiting = self.waiting
        size = self.sizes[call_id] = len(payload or b"")
        is_full = len(waiting) >= SETTINGS.waiting_calls_max or (
            size + sum(self.sizes[other] for other in waiting) > SETTINGS.waiting_bytes_max
        )
        may_leave = self.socket == "open" and len(self.on_server) < SETTINGS.calls_in_flight_max
        self.unsettled.add(call_id)
        self.perform(self.machine.call(call_id, payload, self.now))
        is_turned_away = call_id not in self.unsettled and not (may_leave and payload is None)
        is_refused = self.now < self.refused_until and self.socket is None
        assert is_turned_away == (is_refused or (is_full and not may_leave)), "C4"

    @rule(data=st.data())
    @precondition(lambda self: self.unsettled)
    def forget(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(sorted(self.unsettled)))
        self.unsettled.remove(call_id)
        self.perform(self.machine.forget(call_id, self.now))

    @rule(data=st.data())
    @precondition(lambda self: self.next_id > 0)
    def expire(self, data: st.DataObject) -> None:
        call_id = data.draw(st.integers(0, self.next_id - 1))
        self.perform(self.machine.expire(call_id, self.now))
        assert call_id not in self.unsettled

    @rule(event=EVENTS)
    def subscribe(self, event: str) -> None:
        self.wanted_events.add(event)
        self.perform(self.machine.subscribe(event, self.now))

    @rule(event=EVENTS)
    def unsubscribe(self, event: str) -> None:
        self.wanted_events.discard(event)
        self.perform(self.machine.unsubscribe(event, self.now))

    @rule()
    def release(self) -> None:
        self.is_held = False
        self.perform(self.machine.release(self.now))

    @rule(seconds=st.sampled_from([0.01, 0.5, 2, 10, 100]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.perform(self.machine.idle(self.now))

    @rule()
    @precondition(lambda self: self.has_timer)
    def timer_rings(self) -> None:
        self.has_timer = False
        self.perform(self.machine.retry(self.now))

    @rule()
    @precondition(lambda self: self.socket == "opening")
    def attempt_succeeds(self) -> None:
        self.socket = "open"
        self.server_events.clear()
        self.perform(self.machine.opened(self.now))

    @rule(is_refused=st.booleans())
    @precondition(lambda self: self.socket == "opening")
    def attempt_fails(self, is_refused: bool) -> None:
        self.socket = None
        self._gives_up(1008 if is_refused else 1006)
        ending = Ending(refusal=Forbidden("No.")) if is_refused else Ending(reason="no answer")
        self.perform(self.machine.lost(ending, self.now))

    @rule(code=CODES, failure=st.none() | st.sampled_from(["forbidden", "actor_destroyed"]))
    @precondition(lambda self: self.socket == "open")
    def socket_ends(self, code: int, failure: str | None) -> None:
        if failure is not None:
            self.perform(self.machine.received(FailureFrame(failure, "No."), self.now))
        self.socket = None
        self.on_server.clear()
        self._gives_up(code)
        self.perform(self.machine.lost(Ending(code), self.now))

    def _gives_up(self, code: int) -> None:
        self.is_given_up = code in (1000, 1008)
        if code == 1008:
            self.refused_until = self.now + SETTINGS.refusal_pause_s

    @rule(data=st.data(), is_good=st.booleans())
    @precondition(lambda self: self.on_server)
    def server_answers(self, data: st.DataObject, is_good: bool) -> None:
        call_id = data.draw(st.sampled_from(self.on_server))
        self.on_server.remove(call_id)
        frame: Any = OutputFrame(call_id, 1) if is_good else ErrorFrame(call_id, "user_error", "No")
        self.perform(self.machine.received(frame, self.now))
        assert call_id not in self.unsettled

    @rule()
    @precondition(lambda self: self.on_server)
    def server_says_too_long(self) -> None:
        largest = max(self.on_server, key=lambda call_id: self.sizes[call_id])
        self.on_server.remove(largest)
        frame = FailureFrame("message_too_long", "Too long.")
        self.perform(self.machine.received(frame, self.now))
        assert largest not in self.unsettled

    @rule(call_id=st.integers(0, 30))
    @precondition(lambda self: self.socket == "open")
    def server_answers_a_stranger(self, call_id: int) -> None:
        if call_id not in self.on_server:
            assert self.machine.received(OutputFrame(call_id, 1), self.now) == []

    @rule(event=EVENTS)
    @precondition(lambda self: self.socket == "open")
    def server_emits(self, event: str) -> None:
        self.perform(self.machine.received(EventFrame(event, []), self.now))

    def teardown(self) -> None:
        self.perform(self.machine.close())
        assert not self.unsettled, "C1: a call outlived the client"
        assert self.socket is None
        assert not self.has_timer
        self.unsettled.add(self.next_id)
        self.perform(self.machine.call(self.next_id, b"too late", self.now))
        assert not self.unsettled
        assert self.machine.close() == []

    @invariant()
    def c3_subscriptions(self) -> None:
        if self.socket == "open":
            assert self.server_events == self.wanted_events

    @invariant()
    def c4_bounds(self) -> None:
        assert len(self.on_server) <= SETTINGS.calls_in_flight_max
        assert len(self.waiting) <= SETTINGS.waiting_calls_max

    @invariant()
    def c5_one_of_each(self) -> None:
        assert self.has_timer == (self.machine.state is State.WAITING)
        expected = {State.CONNECTING: "opening", State.OPEN: "open"}.get(self.machine.state)
        assert self.socket == expected

    @invariant()
    def c6_somebody_acts(self) -> None:
        if self.machine.state in (State.IDLE, State.REFUSED):
            assert not self.unsettled, "calls wait, and nobody is going to connect"
            is_wanted = self.wanted_events or self.is_held
            assert not is_wanted or self.is_given_up, "it is wanted, and nobody connects"
        if self.socket == "open" and self.waiting:
            assert len(self.on_server) == SETTINGS.calls_in_flight_max


TestConnectionMachine = World.TestCase
TestConnectionMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def opened(**changes: Any) -> ConnectionMachine:
    machine = ConnectionMachine(Settings(**changes))
    machine.call(0, b"first", 0.0)
    machine.opened(0.0)
    return machine


def fails(todo: list[effects.Effect]) -> list[tuple[int, str]]:
    return [
        (effect.call_id, type(effect.error).__name__)
        for effect in todo
        if isinstance(effect, effects.Fail)
    ]


def test_what_was_sent_is_unknown_and_what_waited_goes_out_again() -> None:
    machine = opened(calls_in_flight_max=1)
    machine.call(1, b"second", 0.0)
    todo = machine.lost(Ending(), 1.0)
    assert fails(todo) == [(0, OutcomeUnknown.__name__)]
    assert machine.state is State.WAITING
    machine.retry(2.0)
    assert machine.opened(2.0) == [effects.SendCall(1, b"second")]


def test_pauses_grow_up_to_the_cap_and_shrink_after_health() -> None:
    machine = ConnectionMachine(Settings(retry_first_s=0.1, retry_max_s=1.0, healthy_after_s=5))
    machine.subscribe("changed", 0.0)
    bounds = []
    for _ in range(6):
        (retry,) = machine.lost(Ending(), 0.0)
        bounds.append(retry.at_most_s)
        machine.retry(0.0)
    assert bounds == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    machine.opened(10.0)
    (retry,) = machine.lost(Ending(), 16.0)
    assert retry.at_most_s == 0.1


def test_a_server_that_opens_and_breaks_at_once_is_not_health() -> None:
    machine = ConnectionMachine(Settings(retry_first_s=0.1, healthy_after_s=5))
    machine.subscribe("changed", 0.0)
    bounds = []
    for _ in range(3):
        machine.opened(0.0)
        (retry,) = machine.lost(Ending(1012), 0.1)
        bounds.append(retry.at_most_s)
        machine.retry(0.1)
    assert bounds == [0.0, 0.2, 0.4]


def test_overloaded_is_tried_later() -> None:
    machine = opened()
    machine.subscribe("changed", 0.0)
    retry = machine.lost(Ending(1013), 100.0)[-1]
    assert retry == effects.Retry(1.0, 1.1)


def test_a_refusal_answers_until_its_pause_is_over() -> None:
    machine = opened(refusal_pause_s=1.0)
    machine.received(FailureFrame("forbidden", "Not you."), 1.0)
    assert fails(machine.lost(Ending(1008, "forbidden"), 1.0)) == [(0, Forbidden.__name__)]
    assert fails(machine.call(1, b"", 1.5)) == [(1, Forbidden.__name__)]
    assert machine.call(2, b"", 2.5) == [effects.OpenSocket()]


def test_destroyed_tells_everybody_and_a_fresh_call_asks_anew() -> None:
    machine = opened(calls_in_flight_max=1)
    machine.call(1, b"waits", 0.0)
    told = fails(machine.lost(Ending(1000, "actor_destroyed"), 1.0))
    assert told == [(0, ActorDestroyed.__name__), (1, ActorDestroyed.__name__)]
    assert machine.call(2, b"", 1.0) == [effects.OpenSocket()]


def test_a_goodbye_leaves_the_outcome_of_sent_calls_unknown() -> None:
    machine = opened(calls_in_flight_max=1)
    machine.call(1, b"waits", 0.0)
    told = fails(machine.lost(Ending(1000, "too noisy"), 1.0))
    assert told == [(0, OutcomeUnknown.__name__), (1, NotConnected.__name__)]


def test_too_long_belongs_to_the_largest_call_under_way() -> None:
    machine = opened()
    machine.call(1, b"x" * 70_000, 0.0)
    machine.call(2, b"small", 0.0)
    told = fails(machine.received(FailureFrame("message_too_long", "Too long."), 0.0))
    assert told == [(1, "MessageTooLong")]
    assert machine.state is State.OPEN


def test_over_the_bound_says_what_it_waits_for() -> None:
    machine = ConnectionMachine(Settings(waiting_calls_max=1, calls_in_flight_max=1))
    machine.call(0, b"", 0.0)
    machine.lost(Ending(reason="nobody listens"), 0.0)
    (refused,) = machine.call(1, b"", 0.0)
    assert isinstance(refused.error, NotConnected)
    assert "nobody listens" in refused.error.message
    machine.retry(0.0)
    machine.opened(0.0)
    machine.call(2, b"", 0.0)
    (refused,) = machine.call(3, b"", 0.0)
    assert isinstance(refused.error, Overloaded)


def test_a_forgotten_call_keeps_its_place_until_its_answer() -> None:
    machine = opened(calls_in_flight_max=1)
    machine.forget(0, 0.0)
    assert machine.call(1, b"", 0.0) == []
    assert machine.received(OutputFrame(0, "late"), 0.0) == [effects.SendCall(1, b"")]


def test_an_error_long_ago_is_not_the_reason_of_an_end() -> None:
    machine = opened()
    machine.received(FailureFrame("malformed_message", "What was that?"), 1.0)
    machine.received(OutputFrame(5, "somebody else's"), 1.0)
    told = machine.lost(Ending(1008, "Go."), 2.0)
    assert [effect.error.message for effect in told] == ["Go."]


def test_nobody_needs_it_so_it_is_let_go() -> None:
    machine = opened(idle_s=60)
    machine.received(OutputFrame(0, 1), 5.0)
    assert machine.idle(64.0) == []
    assert machine.idle(65.0) == [effects.CloseSocket(1000, "")]
    assert machine.state is State.IDLE


def test_a_broken_connection_that_nobody_needs_stays_closed() -> None:
    machine = opened()
    machine.received(OutputFrame(0, 1), 1.0)
    assert machine.lost(Ending(), 2.0) == []
    assert machine.state is State.IDLE
