"""What a source is told of its commit when the store's answers are lost or change."""

import asyncio
from collections.abc import Sequence

import pytest

from denizen.core.errors import CommitOutcomeUnknown, DenizenError, NotHere
from denizen.core.limits import DEFAULT
from denizen.state.committer import Committer
from denizen.store.contract import Batch, Outcome
from denizen.wire.commits import Commit, Head


class ScriptedStore:
    """Answers one after the other; only `apply` is used."""

    def __init__(self, *answers: Outcome | DenizenError) -> None:
        self._answers = list(answers)

    async def apply(self, batches: Sequence[Batch]) -> list[Outcome]:
        answer = self._answers.pop(0)
        if isinstance(answer, DenizenError):
            raise answer
        return [answer] * len(batches)


class OneCommit:
    """A source with one commit; `told` is what it hears of it."""

    def __init__(self) -> None:
        self.told: asyncio.Future[DenizenError | None] = asyncio.get_running_loop().create_future()
        self._commit: Commit | None = Commit("default", "0" * 32, None, Head(1, 1), {"a": b"\x01"})

    def take_commit(self) -> Commit | None:
        commit, self._commit = self._commit, None
        return commit

    def commit_settled(self, error: DenizenError | None) -> None:
        self.told.set_result(error)


LOST = CommitOutcomeUnknown("The answer was lost.")


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((Outcome.APPLIED,), type(None)),
        ((LOST, Outcome.ALREADY), type(None)),
        ((LOST, LOST, Outcome.APPLIED), type(None)),
        ((Outcome.REFUSED,), NotHere),
        # It may have been applied before another generation took over: "nothing was changed" isn't known.
        ((LOST, Outcome.REFUSED), CommitOutcomeUnknown),
    ],
)
async def test_a_source_is_told_what_is_known(
    answers: tuple[Outcome | DenizenError, ...], told: type
) -> None:
    committer = Committer(ScriptedStore(*answers), DEFAULT, lambda: None)  # type: ignore[arg-type]
    source = OneCommit()
    committer.submit(source)
    async with asyncio.timeout(5):
        assert type(await source.told) is told
        await committer.close()
