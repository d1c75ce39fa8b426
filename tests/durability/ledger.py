"""The client's account of what it asked for and what it was told: the judge of every proof.

A call is acknowledged (an output came), failed (an error came that says that nothing was done), or
unknown. `at` counts whatever the proof goes by: rounds, or places in a disk's record. What was
acknowledged must be there; what is there must have been intended and not have failed.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.durability.link import Link, Lost, Refused

_NOTHING_WAS_DONE = frozenset({"store_unavailable"})


class Outcome(Enum):
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass
class Entry:
    """One call that changes something."""

    actor: str
    action: str
    text: str
    begun_at: int
    outcome: Outcome = Outcome.UNKNOWN
    settled_at: int | None = None
    value: Any = None
    error: Refused | Lost | None = None

    def is_acknowledged(self, at: int) -> bool:
        return (
            self.outcome is Outcome.ACKNOWLEDGED
            and self.settled_at is not None
            and self.settled_at <= at
        )

    def may_be_there(self, at: int) -> bool:
        return self.begun_at <= at and self.outcome is not Outcome.FAILED


@dataclass
class Verdict:
    """How many acknowledged calls were looked for, and what was wrong."""

    looked_for: int = 0
    lost: int = 0
    invented: int = 0
    repeated: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.looked_for + other.looked_for,
            self.lost + other.lost,
            self.invented + other.invented,
            self.repeated + other.repeated,
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.invented or self.repeated)

    def __str__(self) -> str:
        return (
            f"{self.looked_for:,} acknowledgements looked for, {self.lost:,} lost, "
            f"{self.invented:,} invented, {self.repeated:,} given twice"
        )


@dataclass
class Ledger:
    """All calls of a proof, by actor. `now` tells the time that it goes by."""

    now: Callable[[], int]
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    events: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """For each counter: when an event came, and the count that it told."""

    def hear(self, actor: str, count: int) -> None:
        """Note an event: it may leave no sooner than a reply."""
        self.events.setdefault(actor, []).append((self.now(), count))

    async def call(self, link: Link, actor: str, action: str, *texts: str) -> Entry:
        """Make a call that changes something, and note what comes of it."""
        entry = Entry(actor, action, "".join(texts), self.now())
        self.entries.setdefault(actor, []).append(entry)
        try:
            entry.value = await link.call(action, *texts)
            entry.outcome = Outcome.ACKNOWLEDGED
        except Refused as refused:
            entry.error = refused
            if refused.code in _NOTHING_WAS_DONE:
                entry.outcome = Outcome.FAILED
        except Lost as lost:
            entry.error = lost
        entry.settled_at = self.now()
        return entry

    def count(self, outcome: Outcome) -> int:
        """How many calls came to that."""
        return sum(entry.outcome is outcome for entry in self.all())

    def all(self) -> Iterable[Entry]:
        return itertools.chain.from_iterable(self.entries.values())

    def of(self, actor: str, action: str) -> list[Entry]:
        return [entry for entry in self.entries.get(actor, []) if entry.action == action]


def judge_count(entries: list[Entry], at: int, value: int, base: int = 0) -> Verdict:
    """A counter that stood at `base` before these calls and at `at` holds `value`."""
    told = [entry.value for entry in entries if entry.is_acknowledged(at)]
    possible = sum(entry.may_be_there(at) for entry in entries)
    gone = sum(number > value for number in told)
    return Verdict(
        looked_for=len(told),
        lost=max(gone, len(told) - (value - base)),
        invented=max(0, value - base - possible),
        repeated=len(told) - len({number for number in told if number > base}),
    )


def judge_events(events: list[tuple[int, int]], at: int, value: int) -> Verdict:
    """A counter that at `at` holds `value` must have told of no more."""
    told = [count for came_at, count in events if came_at <= at]
    return Verdict(looked_for=len(told), lost=sum(count > value for count in told))


def judge_lines(entries: list[Entry], at: int, lines: list[str]) -> Verdict:
    """A list that at `at` holds `lines`: each text has its place, each writer's are in order."""
    told = [entry for entry in entries if entry.is_acknowledged(at)]
    possible = {entry.text for entry in entries if entry.may_be_there(at)}
    return Verdict(
        looked_for=len(told),
        lost=sum(lines[entry.value - 1 : entry.value] != [entry.text] for entry in told),
        invented=sum(line not in possible for line in lines) + _out_of_order(lines),
        repeated=len(lines) - len(set(lines)),
    )


def _out_of_order(lines: list[str]) -> int:
    """How many lines, written WRITER/NUMBER, don't follow that writer's line before them."""
    last: dict[str, int] = {}
    wrong = 0
    for line in lines:
        writer, _, number = line.partition("/")
        wrong += last.get(writer, -1) >= int(number)
        last[writer] = int(number)
    return wrong


def judge_ended(room: list[Entry], ends: list[Entry], at: int, lines: list[str]) -> Verdict:
    """A room that may have been ended: what was acknowledged as ended is gone, for good."""
    if any(entry.is_acknowledged(at) for entry in ends):
        return Verdict(looked_for=1, lost=0 if lines == [] else 1)
    if lines == [] and any(entry.may_be_there(at) for entry in ends):
        return Verdict()
    return judge_lines(room, at, lines)
