"""Safeguards of the product, each taken out on its own, so that the simulation can be seen to notice.

A removal patches the product in one place, as a wrong change to it would.
"""

from collections.abc import Callable
from typing import Any

import pytest

from denizen.core.errors import CommitOutcomeUnknown, StoreError
from denizen.host.admission import Admission
from denizen.host.gate import Gate
from denizen.host.runtimes.python.turn_keeper import TurnKeeper
from denizen.host.runtimes.python.turns import Steps
from denizen.state import batches, committer
from denizen.state.committer import Committer
from denizen.store.contract import Batch, Outcome
from denizen.wire.commits import Commit

Removal = Callable[[pytest.MonkeyPatch], None]


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


REMOVALS: tuple[Removal, ...] = (
    reply_before_commit,
    no_gate,
    no_head_guard,
    unknown_taken_for_done,
    unknown_taken_for_undone,
    failure_taken_for_done,
    exclusive_not_alone,
    tasks_not_held,
    failed_exclusive_kept,
    events_not_in_order,
)
