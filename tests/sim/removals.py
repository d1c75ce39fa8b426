"""Safeguards of the product, each taken out on its own, so that the simulation can be seen to notice.

A removal patches the product in one place, as a wrong change to it would.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from denizen.core.errors import CommitOutcomeUnknown, StoreError
from denizen.host.activity import Activity
from denizen.host.admission import Admission
from denizen.host.gate import Gate
from denizen.host.instance import Instance
from denizen.host.runtimes.python.body import PythonBody
from denizen.host.runtimes.python.turn_keeper import TurnKeeper
from denizen.host.runtimes.python.turns import Steps
from denizen.state import batches, committer
from denizen.state.committer import Committer
from denizen.store.contract import Batch, Outcome
from denizen.store.group import Group
from denizen.wire.commits import Commit
from denizen.wire.runtime import Request


class Removal(NamedTuple):
    """`take_out` patches the product; `noticed_as` begins one of the promises that must be seen broken.

    `danger` is what has to happen in a world for the safeguard to matter; other worlds don't count.
    """

    take_out: Callable[[pytest.MonkeyPatch], None]
    noticed_as: tuple[str, ...]
    danger: str = "commit"


def reply_before_commit(patch: pytest.MonkeyPatch) -> None:
    """The committer says that a group is durable, then writes it."""
    gather = Committer._gather

    def settle_at_once(self: Committer) -> Any:
        group = gather(self)
        for source in group.sources:
            source.commit_settled(None)
        group.sources = [_Deaf() for _ in group.sources]
        return group

    patch.setattr(Committer, "_gather", settle_at_once)


class _Deaf:
    """A source that has been told already."""

    def take_commit(self) -> None:
        """It has nothing more."""

    def commit_settled(self, error: Exception | None) -> None:
        """It takes no notice."""


def no_gate(patch: pytest.MonkeyPatch) -> None:
    """Outputs leave at the end of their turn."""
    add = Gate.add

    def open_always(self: Gate, changes: Any, outputs: Any, *rest: Any) -> Any:
        return [*add(self, changes, [], *rest), *outputs]

    patch.setattr(Gate, "add", open_always)


def no_head_guard(patch: pytest.MonkeyPatch) -> None:
    """Commits are written whatever the head row says."""

    def unguarded(commit: Commit) -> Batch:
        batch = batches.batch_of(commit)
        return Batch((), batch.sets, batch.clears, batch.clear_ranges, batch.marker)

    patch.setattr(committer, "batch_of", unguarded)


def unknown_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    """A commit whose answer was lost counts as applied."""

    async def hope(self: Committer, written: list[Batch]) -> list[Outcome]:
        try:
            return await self._store.apply(written)
        except CommitOutcomeUnknown:
            return [Outcome.APPLIED] * len(written)

    patch.setattr(Committer, "_apply", hope)


def unknown_taken_for_undone(patch: pytest.MonkeyPatch) -> None:
    """A commit whose answer was lost counts as refused, and is not sent again."""

    async def despair(self: Committer, written: list[Batch]) -> list[Outcome]:
        try:
            return await self._store.apply(written)
        except CommitOutcomeUnknown:
            return [Outcome.REFUSED] * len(written)

    patch.setattr(Committer, "_apply", despair)


def failure_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    """A store that can't be written is passed over."""

    async def pass_over(self: Committer, written: list[Batch]) -> list[Outcome]:
        try:
            return await self._store.apply(written)
        except StoreError:
            return [Outcome.APPLIED] * len(written)

    patch.setattr(Committer, "_apply", pass_over)


def exclusive_not_alone(patch: pytest.MonkeyPatch) -> None:
    """Exclusive actions are let in beside others, and tasks run beside them."""

    def arrive(self: Admission[Any], item: Any, is_exclusive: bool) -> bool:
        if self._exclusive_runs and not self._running:  # the start
            return arrive_in_turn(self, item, is_exclusive)
        self._running += 1
        return True

    arrive_in_turn = Admission.arrive
    finish_in_turn = Admission.finish

    def finish(self: Admission[Any], is_exclusive: bool) -> list[Any]:
        if self._running:
            return finish_in_turn(self, False)
        return finish_in_turn(self, is_exclusive)

    patch.setattr(Admission, "arrive", arrive)
    patch.setattr(Admission, "finish", finish)


def tasks_not_held(patch: pytest.MonkeyPatch) -> None:
    """An actor's own tasks run while an exclusive action of it does."""
    send = Steps.send

    def send_anyway(self: Steps, value: Any) -> Any:
        body = self._activity.body
        holding, body.exclusive = body.exclusive, None
        try:
            return send(self, value)
        finally:
            if body.exclusive is None and holding is not None and holding.holding is not None:
                body.exclusive = holding

    patch.setattr(Steps, "send", send_anyway)


def failed_exclusive_kept(patch: pytest.MonkeyPatch) -> None:
    """An exclusive action that raises leaves what it did."""
    patch.setattr(TurnKeeper, "_undo", lambda self, activity: None)


def events_not_in_order(patch: pytest.MonkeyPatch) -> None:
    """What a commit lets go leaves in the wrong order."""
    landed = Gate.landed
    patch.setattr(Gate, "landed", lambda self: landed(self)[::-1])


def requests_not_gated(patch: pytest.MonkeyPatch) -> None:
    """Calls to other actors leave at the end of their turn."""
    add = Gate.add

    def let_requests_go(self: Gate, changes: Any, outputs: Any, *rest: Any) -> Any:
        requests = [output for output in outputs if isinstance(output, Request)]
        others = [output for output in outputs if not isinstance(output, Request)]
        return [*add(self, changes, others, *rest), *requests]

    patch.setattr(Gate, "add", let_requests_go)


def aliases_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A list that was read before an await and changed after it isn't looked at again."""
    patch.setattr(TurnKeeper, "_remember_aliases", lambda self, activity: None)


def end_told_early(patch: pytest.MonkeyPatch) -> None:
    """Who destroys an actor is answered before its tombstone is durable."""
    sort_out = Instance._sort_out

    def hold_nothing_back(self: Instance, outputs: list[Any]) -> list[Any]:
        return outputs if self.is_ending else sort_out(self, outputs)

    patch.setattr(Instance, "_sort_out", hold_nothing_back)


def waiting_hooks_skipped(patch: pytest.MonkeyPatch) -> None:
    """A connection that came while an exclusive action ran is never made known to the actor."""
    patch.setattr(Activity, "is_given_up", property(lambda self: self.is_answered))


def clinging_not_abandoned(patch: pytest.MonkeyPatch) -> None:
    """An action that swallows its cancellation may go on for ever."""
    patch.setattr(PythonBody, "_abandon", lambda self, activity: None)


def conflicts_unnoticed(patch: pytest.MonkeyPatch) -> None:
    """Transactions are committed whatever others have written since they read."""
    patch.setattr(Group, "_conflicts", lambda self, request, since: False)


def old_chunks_left(patch: pytest.MonkeyPatch) -> None:
    """A large field that changes keeps the chunks that it had before."""
    write_fields = batches._write_fields

    def clear_nothing(commit: Commit, prefix: bytes, sets: Any, clears: Any, ranges: Any) -> None:
        write_fields(commit, prefix, sets, clears, [])

    patch.setattr(batches, "_write_fields", clear_nothing)


_PROMISE_2 = ("2, nothing leaves", "acknowledged = present")
_AN_ACTOR_SAID = "an exception in the actor's code: "
_PROMISE_8 = tuple(f"{_AN_ACTOR_SAID}PromiseBroken({quote}8, exclusive" for quote in "'\"")
_LOST_ANSWER = "fault.commit_outcome_unknown"

REMOVALS: tuple[Removal, ...] = (
    Removal(reply_before_commit, _PROMISE_2),
    Removal(no_gate, _PROMISE_2),
    Removal(requests_not_gated, ("2, nothing leaves before it is durable: the call",)),
    Removal(no_head_guard, ("1, one home",), "fault.usurp"),
    Removal(unknown_taken_for_done, _PROMISE_2, _LOST_ANSWER),
    Removal(unknown_taken_for_undone, ("nothing invented",), _LOST_ANSWER),
    Removal(failure_taken_for_done, _PROMISE_2, "fault.store_unavailable"),
    Removal(exclusive_not_alone, _PROMISE_8),
    Removal(tasks_not_held, _PROMISE_8),
    Removal(failed_exclusive_kept, _PROMISE_8, "fault.action_raises"),
    Removal(events_not_in_order, ("4, in order",)),
    Removal(aliases_forgotten, ("2: tally", "acknowledged = present", "2, nothing leaves", "3")),
    Removal(end_told_early, ("2, nothing leaves",)),
    Removal(waiting_hooks_skipped, ("4, on_connect ends",)),
    Removal(conflicts_unnoticed, ("one actor has these tags",)),
    Removal(old_chunks_left, (f"{_AN_ACTOR_SAID}ValueError",)),
    Removal(clinging_not_abandoned, ("everything runs on",), "fault.action_timeout"),
)
