"""The life of one connection: what happens comes in, what to do goes out. No I/O and no clock.

          want                    opened
    IDLE ------> CONNECTING ----------------> OPEN
     ^  ^           |   ^                      |
     |  |    failed |   | retry                | lost
     |  |           v   |                      |
     |  '-------- WAITING <--------------------+
     |   unwanted                              |
     +---------- idle, destroyed, goodbye -----+        refused (from CONNECTING or OPEN): REFUSED,
                                                        which a fresh want leaves after a pause.

A connection is *wanted* while it has calls to send, subscriptions, or was asked to stand. A call is
*waiting*, then *sent*, then settled: once, whatever happens. What was sent is never sent again:
when the socket breaks under it, its outcome is unknown. Calls leave in the order in which they
came, and the server starts them in that order.
"""

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum

import msgspec

from denizen.client import effects
from denizen.client.effects import Effect
from denizen.client.endings import Ending, Fate, decide_fate, decide_retry
from denizen.client.settings import Settings
from denizen.core.errors import (
    DenizenError,
    MessageTooLong,
    NotConnected,
    OutcomeUnknown,
    Overloaded,
    from_wire,
)
from denizen.wire.v1.frames import ErrorFrame, EventFrame, FailureFrame, OutputFrame, ServerFrame


class State(Enum):
    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    REFUSED = "refused"
    CLOSED = "closed"


class _SentCall(msgspec.Struct):
    """A call under way. A forgotten one still has an answer coming, which nobody waits for."""

    size: int
    is_forgotten: bool = False


class ConnectionMachine:
    """Decides for one connection. Each method is something that happened; it returns what to do.

    `now` is in seconds and never goes back.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.state = State.IDLE
        self.subscriptions: dict[str, None] = {}
        self.is_held = False
        self._waiting: OrderedDict[int, bytes | None] = OrderedDict()
        self._waiting_bytes = 0
        self._sent: dict[int, _SentCall] = {}
        self._failures = 0
        self._opened_at = 0.0
        self._quiet_since = 0.0
        self._last_failure: FailureFrame | None = None
        self._refusal: DenizenError | None = None
        self._refused_until = 0.0
        self._problem = "it has not been reached yet"

    # What the application wants.

    def call(self, call_id: int, payload: bytes | None, now: float) -> list[Effect]:
        """A call is to be made. With `payload` None nothing is sent: it settles once connected."""
        if self.state is State.CLOSED:
            return [effects.Fail(call_id, NotConnected("The client is closed: make a new one."))]
        if self._refusal is not None and now < self._refused_until:
            return [effects.Fail(call_id, self._refusal)]
        if self.state is State.OPEN and self._has_room_to_send():  # then nothing waits
            return [self._send(call_id, payload)]
        size = len(payload or b"")
        if (
            len(self._waiting) >= self._settings.waiting_calls_max
            or self._waiting_bytes + size > self._settings.waiting_bytes_max
        ):
            return [effects.Fail(call_id, self._full())]
        self._waiting[call_id] = payload
        self._waiting_bytes += size
        return self._want(now)

    def subscribe(self, event: str, now: float) -> list[Effect]:
        """The first handler of an event came."""
        if self.state is State.CLOSED or event in self.subscriptions:
            return []
        self.subscriptions[event] = None
        if self.state is State.OPEN:
            return [effects.SendSubscription(event, True)]
        return self._want(now)

    def unsubscribe(self, event: str, now: float) -> list[Effect]:
        """The last handler of an event went."""
        if event not in self.subscriptions:
            return []
        del self.subscriptions[event]
        self._quiet_since = now
        if self.state is State.OPEN:
            return [effects.SendSubscription(event, False)]
        return self._unwant()

    def hold(self, now: float) -> list[Effect]:
        """The connection is to stand without calls and subscriptions too."""
        if self.state is State.CLOSED:
            return []
        self.is_held = True
        return self._want(now)

    def release(self, now: float) -> list[Effect]:
        """It need not stand for its own sake any more: closed at once if nobody else needs it."""
        self.is_held = False
        if self.state is State.OPEN and self._is_quiet():
            return self._rest()
        self._quiet_since = now
        return self._unwant()

    def forget(self, call_id: int, now: float) -> list[Effect]:
        """Nobody waits for this call now: unsent, it never leaves; sent, its answer is dropped."""
        if (sent := self._sent.get(call_id)) is not None:
            sent.is_forgotten = True
            self._quiet_since = now
            return []
        self._take_from_waiting(call_id)
        return self._unwant()

    def expire(self, call_id: int, now: float) -> list[Effect]:
        """The time of a call is over."""
        if (sent := self._sent.get(call_id)) is not None and not sent.is_forgotten:
            error: DenizenError = OutcomeUnknown(
                "No answer came in time: the call may have run or may be running still. "
                "Ask the actor before sending it again."
            )
        elif call_id in self._waiting:
            error = NotConnected(f"The call was not sent in time: {self._problem}.")
        else:
            return []
        return [effects.Fail(call_id, error), *self.forget(call_id, now)]

    def idle(self, now: float) -> list[Effect]:
        """Time has passed: a connection that nobody has needed for long is let go."""
        is_due = now - self._quiet_since >= self._settings.idle_s
        return self._rest() if self.state is State.OPEN and self._is_quiet() and is_due else []

    def close(self) -> list[Effect]:
        """The client is done."""
        if self.state is State.CLOSED:
            return []
        had_socket = self.state in (State.OPEN, State.CONNECTING)
        was_waiting = self.state is State.WAITING
        self.state = State.CLOSED
        self.subscriptions.clear()
        out = self._settle_all(NotConnected("The client was closed before the call was sent."))
        if had_socket:
            out.append(effects.CloseSocket(1000, ""))
        if was_waiting:
            out.append(effects.CancelRetry())
        return out

    # What the socket does.

    def opened(self, now: float) -> list[Effect]:
        """The socket stands: subscriptions first, then the calls that waited, in order."""
        self.state = State.OPEN
        self._opened_at = self._quiet_since = now
        self._refusal = None
        self._last_failure = None
        out: list[Effect] = [effects.SendSubscription(event, True) for event in self.subscriptions]
        return out + self._send_waiting()

    def received(self, frame: ServerFrame, now: float) -> list[Effect]:
        """A frame came."""
        if isinstance(frame, FailureFrame):
            return self._received_failure(frame, now)
        self._last_failure = None
        if isinstance(frame, EventFrame):
            is_wanted = frame.name in self.subscriptions
            return [effects.Deliver(frame.name, frame.args)] if is_wanted else []
        sent = self._sent.pop(frame.id, None)
        if sent is None:
            return []
        self._quiet_since = now
        out = self._send_waiting() if self._waiting else []
        if sent.is_forgotten:
            return out
        if isinstance(frame, OutputFrame):
            return [effects.Return(frame.id, frame.output), *out]
        return [effects.Fail(frame.id, _error_of(frame)), *out]

    def lost(self, ending: Ending, now: float) -> list[Effect]:
        """The socket ended, or an attempt to open one failed. What was sent is settled now."""
        was_healthy = (
            self.state is State.OPEN and now - self._opened_at >= self._settings.healthy_after_s
        )
        if was_healthy:
            self._failures = 0
        self._problem = ending.text
        failure, self._last_failure = self._last_failure, None
        error = _error_of(failure) if failure is not None else None
        fate = decide_fate(ending, error)
        if fate is not Fate.RETRY:
            return self._give_up(fate, error or ending.error(), now)
        self.state = State.IDLE
        out = self._settle_sent()
        return out + self._retry(ending)

    def retry(self, now: float) -> list[Effect]:
        """The pause before the next attempt is over."""
        if self.state is not State.WAITING:
            return []
        self.state = State.IDLE
        return self._want(now)

    # How it decides.

    def _want(self, now: float) -> list[Effect]:
        if self.state is State.REFUSED and now >= self._refused_until:
            self.state = State.IDLE
            self._refusal = None
        if self.state is not State.IDLE:
            return []
        self.state = State.CONNECTING
        return [effects.OpenSocket()]

    def _unwant(self) -> list[Effect]:
        if self.state is not State.WAITING or self._is_wanted():
            return []
        self.state = State.IDLE
        return [effects.CancelRetry()]

    def _is_wanted(self) -> bool:
        return bool(self._waiting or self.subscriptions or self.is_held)

    def _is_quiet(self) -> bool:
        return not self._is_wanted() and all(sent.is_forgotten for sent in self._sent.values())

    def _rest(self) -> list[Effect]:
        self.state = State.IDLE
        self._sent.clear()
        return [effects.CloseSocket(1000, "")]

    def _retry(self, ending: Ending) -> list[Effect]:
        if not self._is_wanted():
            return []
        pause = decide_retry(self._settings, ending, self._failures)
        self._failures += 1
        self.state = State.WAITING
        return [effects.Retry(*pause)]

    def _give_up(self, fate: Fate, error: DenizenError, now: float) -> list[Effect]:
        """The server doesn't want this connection: everything that waits gets to know."""
        self.state = State.IDLE
        if fate is Fate.REFUSED:
            self.state = State.REFUSED
            self._refusal = error
            self._refused_until = now + self._settings.refusal_pause_s
        out = self._settle_sent(None if fate is Fate.LEFT else error) + self._settle_waiting(error)
        return out or [effects.Report(error)]

    def _received_failure(self, frame: FailureFrame, now: float) -> list[Effect]:
        error = _error_of(frame)
        if isinstance(error, MessageTooLong) and self._sent:
            # It names no call. But of those under way the largest is over any limit that one of
            # them is over, and a call that is refused so gets no other answer.
            largest = max(self._sent, key=lambda call_id: self._sent[call_id].size)
            sent = self._sent.pop(largest)
            self._quiet_since = now
            fail = [] if sent.is_forgotten else [effects.Fail(largest, error)]
            return [*fail, *self._send_waiting()]
        self._last_failure = frame
        return []

    def _has_room_to_send(self) -> bool:
        return len(self._sent) < self._settings.calls_in_flight_max

    def _send(self, call_id: int, payload: bytes | None) -> Effect:
        if payload is None:
            return effects.Return(call_id, None)
        self._sent[call_id] = _SentCall(len(payload))
        return effects.SendCall(call_id, payload)

    def _send_waiting(self) -> list[Effect]:
        out: list[Effect] = []
        while self._waiting and self._has_room_to_send():
            call_id = next(iter(self._waiting))
            out.append(self._send(call_id, self._take_from_waiting(call_id)))
        return out

    def _take_from_waiting(self, call_id: int) -> bytes | None:
        payload = self._waiting.pop(call_id, None)
        self._waiting_bytes -= len(payload or b"")
        return payload

    def _full(self) -> DenizenError:
        waiting = len(self._waiting)
        if self.state is State.OPEN:
            return Overloaded(f"{waiting} calls wait for earlier ones to end: try again later.")
        return NotConnected(f"{waiting} calls wait for a connection already: {self._problem}.")

    def _settle_all(self, error: DenizenError) -> list[Effect]:
        return self._settle_sent() + self._settle_waiting(error)

    def _settle_waiting(self, error: DenizenError) -> list[Effect]:
        waiting, self._waiting = self._waiting, OrderedDict()
        self._waiting_bytes = 0
        return _fail_each(waiting, error)

    def _settle_sent(self, error: DenizenError | None = None) -> list[Effect]:
        sent, self._sent = self._sent, {}
        unknown = OutcomeUnknown(
            "The connection broke after the call was sent: it may have run. "
            "Ask the actor before sending it again."
        )
        live = [call_id for call_id, call in sent.items() if not call.is_forgotten]
        return _fail_each(live, error or unknown)


def _fail_each(call_ids: Iterable[int], error: DenizenError) -> list[Effect]:
    return [effects.Fail(call_id, error) for call_id in call_ids]


def _error_of(frame: ErrorFrame | FailureFrame) -> DenizenError:
    return from_wire(
        frame.code, frame.message, None if frame.metadata is msgspec.UNSET else frame.metadata
    )
