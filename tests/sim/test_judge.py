"""The judge itself: a history that keeps the promises passes, each broken one is told of for what it is."""

from typing import Any

import pytest

from denizen.core.errors import NotConnected, OutcomeUnknown
from denizen.testing.judge import judge
from denizen.testing.ledger import Entry, Ledger

ID = "0" * 32
EMPTY = {"id": ID, "number": 0, "value": []}


class History:
    """A ledger in the making, and what a last power cut has left."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.final: dict[str, dict[str, Any]] = {
            "tally/0": EMPTY,
            "account/0": {"id": ID, "number": 0, "value": [100, 0]},
            "clerk/0": EMPTY,
            "phoenix/0": {"id": ID, "number": 1, "value": [ID]},
        }
        self.events: list[tuple[str, list[Any]]] = []

    def begin(self, actor: str, action: str, op: str, also: str = "", amount: int = 0) -> Entry:
        return self.ledger.begin("client", actor, action, op, also, amount)

    def ok(self, entry: Entry, number: int, actor_id: str = ID, value: Any = None) -> None:
        self.ledger.succeeded(entry, {"id": actor_id, "number": number, "value": value})

    def did(self, actor: str, action: str, op: str, number: int, **more: Any) -> None:
        self.ok(self.begin(actor, action, op), number, **more)

    def left(self, actor: str, *value: Any, number: int | None = None) -> None:
        count = len(value) if number is None else number
        self.final[actor] = {"id": ID, "number": count, "value": list(value)}

    def broken(self) -> list[str]:
        return list(judge(self.ledger, self.final, self.events))


def test_a_history_that_keeps_the_promises_passes() -> None:
    history = History()
    history.did("tally/0", "read", "r", 0)
    first, second = history.begin("tally/0", "add", "a"), history.begin("tally/0", "add", "b")
    history.ok(second, 1)
    history.ok(first, 2)
    history.ledger.failed(history.begin("tally/0", "add", "c"), OutcomeUnknown("lost"))
    history.ledger.failed(history.begin("tally/0", "add", "d"), NotConnected("never sent"))
    history.did("tally/0", "read", "s", 3)
    history.ok(history.begin("clerk/0", "hand_on", "h", also="tally/0"), 1, value=4)
    history.ok(history.begin("account/0", "transfer", "t", amount=7), 1)
    history.did("phoenix/0", "add", "p", 2)
    history.left("tally/0", "b", "a", "c", "h")
    history.left("clerk/0", "h")
    history.left("account/0", 93, 7, "t")
    history.left("phoenix/0", ID, "p")
    history.events = [("tally/0", [ID, 1, "b"]), ("tally/0", ["1" * 32, 1, "of another life"])]
    assert history.broken() == []


def lost(history: History) -> None:
    history.did("tally/0", "add", "a", 1)


def invented(history: History) -> None:
    history.left("tally/0", "a")


def surely_failed_but_there(history: History) -> None:
    history.ledger.failed(history.begin("tally/0", "add", "a"), NotConnected("never sent"))
    history.left("tally/0", "a")


def done_twice(history: History) -> None:
    history.did("tally/0", "add", "a", 1)
    history.left("tally/0", "a", "a")


def elsewhere(history: History) -> None:
    first, second = history.begin("tally/0", "add", "a"), history.begin("tally/0", "add", "b")
    history.ok(first, 1)
    history.ok(second, 2)
    history.left("tally/0", "b", "a")


def stale_read(history: History) -> None:
    history.did("tally/0", "add", "a", 1)
    history.did("tally/0", "read", "r", 0)
    history.left("tally/0", "a")


def against_real_time(history: History) -> None:
    history.did("tally/0", "add", "a", 2)
    history.did("tally/0", "add", "b", 1)
    history.left("tally/0", "b", "a")


def read_from_the_future(history: History) -> None:
    history.did("tally/0", "read", "r", 1)
    history.did("tally/0", "add", "a", 1)
    history.left("tally/0", "a")


def half_a_transfer(history: History) -> None:
    history.left("account/0", 93, 0)


def wrong_amount(history: History) -> None:
    history.ok(history.begin("account/0", "transfer", "t", amount=7), 1)
    history.left("account/0", 92, 8, "t")


def handed_on_and_lost(history: History) -> None:
    history.ledger.failed(
        history.begin("clerk/0", "hand_on", "h", also="tally/0"), OutcomeUnknown("lost")
    )
    history.left("tally/0", "h")


def answers_after_its_end(history: History) -> None:
    history.did("phoenix/0", "end", "e", 1, actor_id="1" * 32)
    history.did("phoenix/0", "add", "p", 2, actor_id="1" * 32)


def two_lives_without_an_end(history: History) -> None:
    history.did("phoenix/0", "add", "p", 2, actor_id="1" * 32)
    history.did("phoenix/0", "add", "q", 2)
    history.left("phoenix/0", ID, "q")


def event_of_what_never_was(history: History) -> None:
    history.events = [("tally/0", [ID, 1, "a"])]


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lost, "acknowledged = present"),
        (invented, "nothing invented"),
        (surely_failed_but_there, "nothing invented"),
        (done_twice, "nothing invented"),
        (elsewhere, "3: tally/0 answered"),
        (stale_read, "3, linearizable"),
        (against_real_time, "3, linearizable"),
        (read_from_the_future, "3: tally/0 answered r with 1, before a was asked for"),
        (half_a_transfer, "8, all or nothing"),
        (wrong_amount, "8, all or nothing"),
        (handed_on_and_lost, "2: tally/0 has h"),
        (answers_after_its_end, "destroyed is destroyed"),
        (two_lives_without_an_end, "nothing lost"),
        (event_of_what_never_was, "2: tally/0 told of a"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_promise_is_told_of(break_it: Any, told: str) -> None:
    history = History()
    break_it(history)
    broken = history.broken()
    assert any(sentence.startswith(told) for sentence in broken), broken
