"""Deadlines: each thing expires once, never early, in order, on one timer."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from denizen.core import clock
from denizen.host.deadlines import Deadlines, Queue


class Thing:
    def __init__(self, expired: list["Thing"], timeout_s: float) -> None:
        self._expired = expired
        self.timeout_s = timeout_s

    def expire(self) -> None:
        self._expired.append(self)


class Hand:
    """A clock and a timer that are moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0
        self.timers: list[tuple[float, object]] = []
        self.armed = 0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def call_later(self, delay: float, callback: object) -> "Hand":
        self.armed += 1
        self.timers = [(self.at + delay, callback)]
        return self

    def cancel(self) -> None:
        self.timers = []

    def move(self, seconds: float) -> None:
        end = self.at + seconds
        while self.timers and self.timers[0][0] <= end:
            due, callback = self.timers.pop()
            self.at = max(self.at, due)
            callback()  # type: ignore[operator]
        self.at = end


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([1.0, 5.0, 60.0])),
        st.tuples(st.just("remove"), st.integers(0, 20)),
        st.tuples(st.just("move"), st.sampled_from([0.0, 0.5, 1.0, 4.0, 30.0])),
    ),
    max_size=40,
)


@given(STEPS)
def test_all_expire_on_time_and_once(steps: list[tuple[str, float]]) -> None:
    hand = Hand()
    with clock.use(hand):
        deadlines = Deadlines(hand)  # type: ignore[arg-type]
        expired: list[Thing] = []
        due: dict[Thing, float] = {}
        queues: dict[Thing, Queue] = {}
        for what, value in steps:
            if what == "add":
                thing = Thing(expired, value)
                queues[thing] = deadlines.add(thing, value)
                due[thing] = hand.at + value
            elif what == "remove" and due:
                thing = list(due)[int(value) % len(due)]
                queues[thing].pop(thing, None)
                if thing not in expired:
                    del due[thing]
            elif what == "move":
                hand.move(value)
            assert set(expired) == {thing for thing, at in due.items() if at <= hand.at}
            assert len(expired) == len(set(expired))
        assert [due[thing] for thing in expired] == sorted(due[thing] for thing in expired)
        deadlines.stop()
        hand.move(1_000)
        assert len(expired) == len(set(expired))


def test_many_of_one_timeout_cost_one_timer() -> None:
    hand = Hand()
    with clock.use(hand):
        deadlines = Deadlines(hand)  # type: ignore[arg-type]
        for _ in range(1_000):
            deadlines.add(Thing([], 60.0), 60.0)
        assert hand.armed == 1


async def test_on_a_real_loop() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    expired: list[Thing] = []
    late, soon = Thing(expired, 0.02), Thing(expired, 0.001)
    deadlines.add(late, 0.02)
    deadlines.add(soon, 0.001)
    while len(expired) < 2:
        await asyncio.sleep(0.001)
    assert expired == [soon, late]
