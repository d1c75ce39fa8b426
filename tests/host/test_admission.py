"""What may run beside what: random orders against a model that keeps everything in one list."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from denizen.host.admission import Admission


class Item:
    """One activity: where it stands is the model."""

    def __init__(self, number: int, is_exclusive: bool) -> None:
        self.number = number
        self.is_exclusive = is_exclusive
        self.place = "waits"


class AdmissionMachine(RuleBasedStateMachine):
    """A1 to A3, after each arrival, end and withdrawal."""

    def __init__(self) -> None:
        super().__init__()
        self.admission: Admission[Item] = Admission()
        self.items: list[Item] = []
        self.is_starting = True
        self.started: list[int] = []

    def at(self, place: str) -> list[Item]:
        return [item for item in self.items if item.place == place]

    def expected(self) -> list[Item]:
        """Who must start now, by the rules alone: walk those who wait, stop at who may not."""
        starts: list[Item] = []
        running = self.at("runs")
        if self.is_starting:
            return starts
        for item in self.at("waits"):
            beside = running + starts
            if any(other.is_exclusive for other in beside) or (item.is_exclusive and beside):
                break
            starts.append(item)
        return starts

    def check_started(self, told: list[Item]) -> None:
        assert told == self.expected()
        for item in told:
            item.place = "runs"
            self.started.append(item.number)

    @rule(is_exclusive=st.booleans())
    def arrive(self, is_exclusive: bool) -> None:
        must_wait = self.admission.must_wait(is_exclusive)
        item = Item(len(self.items), is_exclusive)
        self.items.append(item)
        starts = self.admission.arrive(item, is_exclusive)
        assert must_wait is not starts
        self.check_started([item] if starts else [])

    @precondition(lambda self: self.is_starting)
    @rule()
    def open(self) -> None:
        self.is_starting = False
        self.check_started(self.admission.finish(True))

    @precondition(lambda self: self.at("runs"))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.at("runs")))
        item.place = "over"
        self.check_started(self.admission.finish(item.is_exclusive))

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.items))
        was_waiting = item.place == "waits"
        if was_waiting:
            item.place = "over"
        started = self.admission.withdraw(item)
        assert (started is not None) is was_waiting
        self.check_started(started or [])

    @invariant()
    def exclusive_ones_run_alone(self) -> None:
        running = self.at("runs")
        assert len(running) <= 1 or not any(item.is_exclusive for item in running)
        assert self.admission.running == len(running) + self.is_starting

    @invariant()
    def nobody_is_overtaken(self) -> None:
        assert self.started == sorted(self.started)

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        assert self.expected() == []


TestAdmission = AdmissionMachine.TestCase
