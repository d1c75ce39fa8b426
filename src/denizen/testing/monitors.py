"""What must hold at every instant of a world, checked when it happens.

- Promise 2: no reply, event or call to another actor leaves before the change that it tells of is durable.
- Promise 4: calls of a connection start in the order sent; events of an actor come in order, none missing.
- Every call is answered exactly once, or its connection has ended.
- Promise 1: what is durable of an actor never goes back: neither generation nor commit number.
- C1: of one life of an actor at most one commit is on its way.

The durable rows are the monitors' own copy, told by the store at the instant of each flush.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from denizen.core.address import Address
from denizen.core.keys import unpack
from denizen.gateway.ports import ConnectRequest
from denizen.state import layout
from denizen.state.batches import decode_head
from denizen.store.contract import Batch
from denizen.testing.trace import Trace
from denizen.wire.commits import Head
from denizen.wire.v1 import CODECS
from denizen.wire.v1.frames import CallFrame, ErrorFrame, EventFrame, OutputFrame

_ADDS_AT_ONCE = ("add", "add_plainly")


class Violation(Exception):
    """A promise was broken; the message begins with which."""


class Monitors:
    """The monitors of one world. The first violation stays and ends it."""

    def __init__(self, trace: Trace) -> None:
        self.violation: Violation | None = None
        self._trace = trace
        self._rows: dict[bytes, bytes] = {}
        self._heads: dict[bytes, Head] = {}
        self._flying: set[tuple[str, bytes]] = set()
        self.taps: list[ConnectionMonitor] = []

    def report(self, promise: str) -> None:
        """A promise was broken."""
        self._trace.note("violation", promise)
        if self.violation is None:
            self.violation = Violation(promise)

    # What is durable.

    def landed(self, writes: Mapping[bytes, bytes | None]) -> None:
        """A group of the store became durable."""
        for key, value in writes.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
                if key[:1] != b"\xff" and unpack(key)[-1] == "head":
                    self._check_head(key, decode_head(value))

    def check_durable(self, what: str, actor_id: str, number: int) -> None:
        """Something leaves that tells of an actor's change `number`."""
        durable = self.durable_number(actor_id)
        if durable < number:
            self.report(
                f"2, nothing leaves before it is durable: {what} tells of change {number} of actor "
                f"{actor_id}, the store has {durable}"
            )

    def durable_number(self, actor_id: str) -> int:
        """The last change of an actor that would survive a power cut now."""
        prefix = layout.actor_prefix("default", actor_id)
        head = self._heads.get(layout.head_key(prefix))
        if head is not None and head.is_destroyed:
            return 1 << 60
        data = self._rows.get(layout.field_key(prefix, "number"))
        return 0 if data is None else int(msgspec.msgpack.decode(data))

    def check_destroyed(self, actor_id: str) -> None:
        """Somebody is told that an actor was destroyed."""
        head = self._heads.get(layout.head_key(layout.actor_prefix("default", actor_id)))
        if head is None or not head.is_destroyed:
            self.report(f"2, nothing leaves before it is durable: {actor_id} isn't destroyed yet")

    def _check_head(self, key: bytes, head: Head) -> None:
        before = self._heads.get(key)
        if before is not None and (head.generation, head.number) <= (
            before.generation,
            before.number,
        ):
            self.report(f"1, one home: the head of {key!r} went from {before} back to {head}")
        self._heads[key] = head

    # Commits on their way.

    def commits_sent(self, life: str, batches: Sequence[Batch]) -> None:
        """A life of the host gives commits to the store."""
        for batch in batches:
            flight = (life, batch.sets[0][0])
            if flight in self._flying:
                self.report(f"C1: two commits of {flight[1]!r} are on their way at once")
            self._flying.add(flight)
            self._trace.note("commit", life, b"".join(key + value for key, value in batch.sets))

    def commits_settled(self, life: str, batches: Sequence[Batch], what: str) -> None:
        """The store has answered."""
        self._trace.note("settled", f"{life} {what}")
        for batch in batches:
            self._flying.discard((life, batch.sets[0][0]))

    # Connections.

    def connection(self, name: str, request: ConnectRequest) -> "ConnectionMonitor":
        """A connection begins."""
        assert request.address is not None
        tap = ConnectionMonitor(self, name, request.address, request.format or "json")
        self.taps.append(tap)
        return tap

    def listening(self) -> list["ConnectionMonitor"]:
        """Connections that are to hear of every change from now on."""
        return [tap for tap in self.taps if tap.is_subscribed and not tap.is_over]

    def check_heard(self, listening: list["ConnectionMonitor"]) -> None:
        """Of `listening`, whoever is connected still was told of its actor's last change."""
        for tap in listening:
            number = self.durable_number(self._id_at(tap.address))
            if not tap.is_over and tap.last_event != number:
                self.report(
                    f"4, in order: {tap.name} was told of change {tap.last_event}, but not of {number}"
                )

    def _id_at(self, address: Address) -> str:
        if address.actor_id is not None:
            return address.actor_id
        return self._rows.get(
            layout.address_key("default", address.type, address.key), b""
        ).decode()

    def check_answered(self) -> None:
        """The world is at rest: whoever is connected has its answers."""
        for tap in self.taps:
            if not tap.is_over and tap.open_calls:
                self.report(
                    f"every call is answered: {tap.name} has none to {list(tap.open_calls.values())}"
                )


class ConnectionMonitor:
    """One connection, at the host's edge: frames as they are handed in and as they leave."""

    def __init__(self, monitors: Monitors, name: str, address: Address, format: str) -> None:
        self.name = name
        self.is_over = False
        self.is_subscribed = False
        self.open_calls: dict[int, CallFrame] = {}
        self._monitors = monitors
        self.address = address
        self._codec = CODECS[format]
        self._arrived = 0
        self._arrivals: dict[int, int] = {}
        self._starts: list[tuple[int, int]] = []
        self.last_event = 0

    def received(self, payload: bytes) -> None:
        """A frame is handed to the host."""
        frame = self._codec.decode_client_frame(payload)
        if isinstance(frame, CallFrame):
            self._arrived += 1
            self._arrivals[frame.id] = self._arrived
            self.open_calls[frame.id] = frame
        else:
            self.is_subscribed = frame.is_on

    def sent(self, payload: bytes) -> None:
        """A frame leaves the host."""
        frame = self._codec.decode_server_frame(payload)
        if isinstance(frame, EventFrame):
            self._check_event(frame)
        elif isinstance(frame, OutputFrame | ErrorFrame):
            call = self.open_calls.pop(frame.id, None)
            if call is None:
                self._monitors.report(f"answered exactly once: {self.name} got {frame} again")
            elif isinstance(frame, OutputFrame):
                self._check_output(call, frame.output)

    def _check_output(self, call: CallFrame, seen: dict[str, Any]) -> None:
        what = f"the reply to {call.action}{call.args} on {self.name}"
        if call.action == "end":
            self._monitors.check_destroyed(seen["id"])
            return
        self._monitors.check_durable(what, seen["id"], seen["number"])
        if not seen.get("is_known", True):
            self._monitors.report(
                f"4, on_connect ends before a frame is handled: {self.name} was unknown to {call.action}"
            )
        if self.address.type == "tally" and call.action in _ADDS_AT_ONCE:
            self._check_order(self._arrivals[call.id], seen["number"])

    def _check_order(self, arrival: int, number: int) -> None:
        for other_arrival, other_number in self._starts:
            if (arrival < other_arrival) != (number < other_number):
                self._monitors.report(
                    f"4, in order: on {self.name} call {arrival} made change {number} and call "
                    f"{other_arrival} change {other_number}"
                )
        self._starts.append((arrival, number))

    def _check_event(self, frame: EventFrame) -> None:
        actor_id, number, op = frame.args
        self._monitors.check_durable(f"the event of {op} on {self.name}", actor_id, number)
        if self.last_event and number != self.last_event + 1:
            self._monitors.report(
                f"4, in order: on {self.name} the event of change {number} follows that of "
                f"{self.last_event}"
            )
        self.last_event = number
