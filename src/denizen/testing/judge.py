"""What must hold of a whole world once it is over: the ledger against what a last power cut has left.

- Acknowledged = present; nothing invented; what failed for sure is absent.
- Promise 3: per actor the answers fit one order, the order of its list, which agrees with real time.
- Promise 8: exclusive actions happened wholly or not at all.
- Promise 2 for calls: what an actor handed on is in its own state too.
- Destroyed is destroyed: an actor id that was ended never answers again.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from denizen.testing.ledger import Entry, Ledger
from denizen.testing.workloads import TOTAL

Seen = dict[str, Any]

_ADDING = ("add", "add_plainly", "add_held", "add_heavily", "transfer")
_ADDING_LATER = ("add_later", "add_and_crash")
_NEVER = ("find", "dawdle", "stall", "cling", "read", "peek", "watch")
_SEES_NOTHING = ("hand_on", "hand_on_alone", "end")


def judge(
    ledger: Ledger, final: dict[str, Seen], events: list[tuple[str, list[Any]]]
) -> Iterator[str]:
    """Every promise that was broken, as a sentence."""
    for actor, seen in final.items():
        ops, extra = _ops_of(actor, seen)
        entries = ledger.of(actor)
        handed_on = [entry for entry in ledger.entries if entry.also == actor]
        if actor.startswith("phoenix"):
            yield from _judge_lives(entries)
            ops = ops[1:]
            entries = [
                entry
                for entry in entries
                if entry.outcome != "ok" or entry.value["id"] == seen["id"]
            ]
        yield from _judge_presence(actor, entries, handed_on, ops)
        yield from _judge_places(actor, entries, seen)
        yield from _judge_real_time(actor, [*entries, *handed_on], ops, seen)
        if actor.startswith("account"):
            yield from _judge_sum(entries, ops, extra)
        for told, (actor_id, number, op) in events:
            if told == actor and actor_id == seen["id"] and _at(seen, actor, number) != op:
                yield f"2: {actor} told of {op} as change {number}, which is {_at(seen, actor, number)}"
    yield from _judge_handing_on(ledger, final)


def _ops_of(actor: str, seen: Seen) -> tuple[list[str], list[int]]:
    """The list of changes, and what stood before it."""
    value = seen["value"]
    return (value[2:], value[:2]) if actor.startswith("account") else (value, [])


def _at(seen: Seen, actor: str, number: int) -> str | None:
    """The change with that number."""
    ops, _ = _ops_of(actor, seen)
    return ops[number - 1] if 0 < number <= len(ops) else None


def _judge_presence(
    actor: str, entries: list[Entry], handed_on: list[Entry], ops: list[str]
) -> Iterator[str]:
    """Acknowledged = present, failed = absent, nothing invented."""
    asked: Counter[str] = Counter()
    acknowledged: Counter[str] = Counter()
    for entry in [*entries, *handed_on]:
        for op in _may_add(entry):
            if entry.outcome != "failed":
                asked[op] += 1
        if entry.outcome == "ok" and (entry.action in _ADDING or entry.action in _SEES_NOTHING[:2]):
            acknowledged[entry.op] += 1
    present = Counter(ops)
    for op, count in acknowledged.items():
        if present[op] < count:
            yield f"acknowledged = present: {op} is {present[op]} times in {actor}, acknowledged {count}"
    for op, count in present.items():
        if count > asked[op]:
            yield (
                f"nothing invented: {op} is {count} times in {actor}; calls that asked for it and didn't "
                f"surely fail: {asked[op]}"
            )


def _may_add(entry: Entry) -> list[str]:
    if entry.action in _NEVER or entry.action == "end":
        return []
    if entry.action in _ADDING_LATER:
        return [f"{entry.op}.{nth}" for nth in range(entry.amount)]
    return [entry.op]


def _judge_places(actor: str, entries: list[Entry], seen: Seen) -> Iterator[str]:
    """Each acknowledged change stands where its answer said."""
    for entry in entries:
        if entry.outcome == "ok" and entry.action in _ADDING:
            found = _at(seen, actor, entry.value["number"])
            if found != entry.op:
                yield f"3: {actor} answered {entry.op} with {entry.value['number']}, where {found} is"


def _judge_real_time(actor: str, entries: list[Entry], ops: list[str], seen: Seen) -> Iterator[str]:
    """The order of the list agrees with the order in which calls ended and were sent."""
    answered = [entry for entry in entries if entry.outcome == "ok" and entry.action != "end"]
    instants = sorted(
        [(entry.sent, 0, entry) for entry in answered]
        + [(entry.ended, 1, entry) for entry in answered],
        key=lambda instant: instant[0],
    )
    floor, floors = 0, {}
    for _, is_end, entry in instants:
        number = _number_of(entry, actor)
        if number is None:
            continue
        if not is_end:
            floors[id(entry)] = floor
            continue
        is_change = entry.action not in (*_NEVER, *_ADDING_LATER)
        if number < floors[id(entry)] + is_change:
            yield (
                f"3, linearizable: {actor} answered {entry.action} {entry.op} with {number}, after "
                f"{floors[id(entry)]} had been acknowledged"
            )
        floor = max(floor, number)
    first_sent: dict[str, int] = {}
    for entry in entries:
        for op in _may_add(entry):
            first_sent.setdefault(op, entry.sent)
    for entry in answered:
        number = _number_of(entry, actor)
        told = _at(seen, actor, number or 0)
        if told is not None and first_sent.get(told, 0) > entry.ended:
            yield f"3: {actor} answered {entry.op} with {number}, before {told} was asked for"


def _number_of(entry: Entry, actor: str) -> int | None:
    """The change of `actor` that an answer speaks of."""
    if entry.actor == actor:
        return None if entry.action in _SEES_NOTHING else int(entry.value["number"])
    return int(entry.value["value"])


def _judge_sum(entries: list[Entry], ops: list[str], extra: list[int]) -> Iterator[str]:
    left, right = extra
    amounts = {entry.op: entry.amount for entry in entries}
    moved = sum(amounts[op] for op in ops)
    if left + right != TOTAL or right != moved:
        yield f"8, all or nothing: {left} and {right} are left, {moved} were moved of {TOTAL}"


def _judge_lives(entries: list[Entry]) -> Iterator[str]:
    """Of an actor that is destroyed and made anew: an old id never answers again."""
    ended: dict[str, int] = {}
    answered = [entry for entry in entries if entry.outcome == "ok"]
    for entry in sorted(answered, key=lambda entry: entry.ended):
        if entry.action == "end":
            ended.setdefault(entry.value["id"], entry.ended)
    for entry in answered:
        if entry.sent > ended.get(entry.value["id"], entry.sent):
            yield f"destroyed is destroyed: {entry.value['id']} answered {entry.op} afterwards"
    ids = {entry.value["id"] for entry in answered}
    ends = sum(entry.action == "end" and entry.outcome != "failed" for entry in entries)
    if len(ids) > 1 + ends:
        yield f"nothing lost: phoenix/0 was {len(ids)} actors, but was ended {ends} times"


def _judge_handing_on(ledger: Ledger, final: dict[str, Seen]) -> Iterator[str]:
    for entry in ledger.entries:
        if entry.action != "hand_on" or entry.op not in final[entry.also]["value"]:
            continue
        if entry.op not in final[entry.actor]["value"]:
            yield f"2: {entry.also} has {entry.op}, which {entry.actor} handed on and lost"
