"""The output gate: random turns and landings against a model that numbers everything."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from denizen.host.gate import Gate, Section
from denizen.wire.runtime import Event, Output

BYTES_MAX = 20


def event(number: int) -> Output:
    return Event(str(number), b"")


def numbers(outputs: list[Output]) -> list[int]:
    return [int(output.name) for output in outputs if isinstance(output, Event)]


class GateMachine(RuleBasedStateMachine):
    """G1 to G4. `written` is what the store has; a turn's data tells which turn it was."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(BYTES_MAX)
        self.flying: Section | None = None
        self.turns = 0
        self.emitted = 0
        self.left: list[int] = []
        self.fields: dict[str, int] = {}
        self.durable: dict[str, int] = {}
        self.needs: dict[int, dict[str, int]] = {}
        self.is_finished = False

    def leave(self, outputs: list[Output]) -> None:
        for number in numbers(outputs):
            for name, turn in self.needs[number].items():
                assert self.durable.get(name, 0) >= turn, "an output left before its change (G1)"
            self.left.append(number)

    @precondition(lambda self: not self.is_finished)
    @rule(names=st.sets(st.sampled_from("abc")), count=st.integers(0, 3), pad=st.integers(0, 12))
    def end_turn(self, names: set[str], count: int, pad: int) -> None:
        self.turns += 1
        changes: dict[str, bytes | None] = dict.fromkeys(
            sorted(names), b"%d" % self.turns + b" " * pad
        )
        self.fields.update(dict.fromkeys(names, self.turns))
        outputs = []
        for _ in range(count):
            self.emitted += 1
            self.needs[self.emitted] = dict(self.fields)
            outputs.append(event(self.emitted))
        was_open = self.gate.is_open
        left = self.gate.add(changes, outputs, self.turns)
        assert bool(left) <= (was_open and not changes)
        self.leave(left)

    @precondition(lambda self: not self.is_finished)
    @rule()
    def demand(self) -> None:
        self.gate.demand()
        assert not self.gate.is_open

    @rule()
    def take(self) -> None:
        wanted = self.gate.wants_commit
        section = self.gate.take()
        assert (section is not None) is wanted
        if section is None:
            return
        assert self.flying is None, "two sections fly (G3)"
        if len(section.changes) > 1 and not self.is_finished:
            turns = {int(data or b"0") for data in section.changes.values()}
            assert section.size_bytes <= BYTES_MAX or len(turns) == 1
        self.flying = section

    @precondition(lambda self: self.flying is not None)
    @rule()
    def land(self) -> None:
        section = self.flying
        assert section is not None
        self.flying = None
        for name, data in section.changes.items():
            turn = int(data or b"0")
            assert turn > self.durable.get(name, 0), "a section flew out of order (G3)"
            self.durable[name] = turn
        self.leave(self.gate.landed())

    @precondition(lambda self: not self.is_finished)
    @rule(count=st.integers(0, 2))
    def finish(self, count: int) -> None:
        self.is_finished = True
        outputs = []
        for _ in range(count):
            self.emitted += 1
            self.needs[self.emitted] = dict(self.fields)
            outputs.append(event(self.emitted))
        self.gate.finish(outputs)
        assert not self.gate.is_open

    @invariant()
    def outputs_leave_in_order(self) -> None:
        assert self.left == list(range(1, len(self.left) + 1))

    @invariant()
    def an_open_gate_holds_nothing(self) -> None:
        if self.gate.is_open:
            assert len(self.left) == self.emitted
            assert self.durable == self.fields

    def teardown(self) -> None:
        """Whatever came is let through in the end."""
        while not self.gate.is_open:
            if self.flying is None:
                self.take()
            self.land()
        assert len(self.left) == self.emitted
        assert self.durable == self.fields


TestGate = GateMachine.TestCase


def test_turns_that_end_while_one_flies_share_the_next_commit() -> None:
    gate = Gate(1_000)
    gate.add({"a": b"1"}, [event(1)])
    first = gate.take()
    assert first is not None
    assert first.changes == {"a": b"1"}
    for turn in range(10):
        assert gate.add({"a": b"%d" % turn, "b": b"x"}, [event(turn)]) == []
        assert gate.take() is None
    assert numbers(gate.landed()) == [1]
    second = gate.take()
    assert second is not None
    assert second.changes == {"a": b"9", "b": b"x"}
    assert numbers(gate.landed()) == list(range(10))
    assert gate.is_open


def test_a_turn_is_never_split_and_a_large_one_flies_alone() -> None:
    gate = Gate(10)
    gate.add({"a": b"x" * 5}, [])
    gate.add({"b": b"x" * 50, "c": b"x" * 50}, [])
    gate.add({"d": b"x" * 5}, [])
    sizes = []
    while (section := gate.take()) is not None:
        sizes.append(sorted(section.changes))
        gate.landed()
    assert sizes == [["a"], ["b", "c"], ["d"]]


def test_a_section_tells_the_size_of_the_state_after_it() -> None:
    gate = Gate(1_000)
    gate.demand()
    section = gate.take()
    assert section is not None
    assert section.state_bytes is None
    gate.landed()
    gate.add({"a": b"x"}, [], 7)
    gate.add({"a": b"xx"}, [], 8)
    section = gate.take()
    assert section is not None
    assert section.state_bytes == 8
