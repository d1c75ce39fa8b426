"""Disks that are full or fail: a durable success or a clear error, and service comes back."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import apsw
import pytest

from denizen.core import entropy
from denizen.server import Server
from denizen.store.sqlite import SqliteStore, writer
from denizen.testing.powercut import PowerCut
from tests.durability.ledger import Ledger, Outcome, Verdict
from tests.durability.link import PATIENCE_S, Lost, Refused, linked
from tests.durability.world import Cuts, cut_power, judge, random_places, serving

ACTORS = ["counter/a", "counter/b", "room/c"]
CALLERS = 2 * len(ACTORS)
RETRY_S = 0.01
STATES = 20
CLEAR_ERRORS = {
    "is_full": "store_unavailable",
    "writes_fail": "store_unavailable",
    "syncs_fail": "commit_outcome_unknown",
}
LOST = "closed 1011"
"""A call that met the close frame of its connection on the way."""

NTH_MAX = 20
NTH_CALLS = 25
NTH_STATES = 4
NTH_CHECKPOINT_PAGES = 10
"""So that writes and syncs of the log, of checkpoints and of a log begun anew are among them."""


async def keep_calling(server: Server, ledger: Ledger, number: int, turns: Iterator[int]) -> None:
    """One call after the other; after one that wasn't acknowledged, on a new connection."""
    actor = ACTORS[number % len(ACTORS)]
    while True:
        async with linked(server.port, actor) as link:
            for turn in turns:
                if actor.startswith("counter"):
                    entry = await ledger.call(link, actor, "increment")
                else:
                    entry = await ledger.call(link, actor, "say", f"{number}/{turn}")
                if entry.outcome is not Outcome.ACKNOWLEDGED:
                    break
            else:
                return
        await asyncio.sleep(RETRY_S)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.005)


class Moment:
    """Which calls had been begun at it; `told` counts those that were begun and acknowledged since."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._begun = {actor: len(entries) for actor, entries in ledger.entries.items()}

    def told(self) -> list[int]:
        """For each actor."""
        return [self._told(actor) for actor in ACTORS]

    def _told(self, actor: str) -> int:
        since = self._ledger.entries.get(actor, [])[self._begun.get(actor, 0) :]
        return sum(entry.outcome is Outcome.ACKNOWLEDGED for entry in since)


def endings(ledger: Ledger) -> Counter[str]:
    """How the calls ended that weren't acknowledged: the error's code, or how the line was lost."""
    found: Counter[str] = Counter()
    for entry in ledger.all():
        if isinstance(entry.error, Refused):
            found[entry.error.code] += 1
        elif isinstance(entry.error, Lost):
            found[f"closed {entry.error.close_code}"] += 1
    return found


@pytest.mark.parametrize("fault", CLEAR_ERRORS)
async def test_a_disk_that_fails_for_a_while(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    with closing(PowerCut()) as cut:
        ledger = Ledger(cut.position)
        store = await SqliteStore.open(str(tmp_path / "data.db"), vfs=cut.name)
        begun_at = cut.position()
        async with serving(store) as server:
            came_back_s = await fail_for_a_while(cut, fault, server, ledger)
            verdict = await judge(server.port, ledger, cut.position())
        places = random_places(begun_at, cut.position(), STATES, entropy.SeededSource(1))
        cuts = await cut_power(cut, ledger, places, entropy.SeededSource(2))
    how = endings(ledger)
    with capsys.disabled():
        print(
            f"\n  {fault} for a while: not acknowledged {dict(how)}; service came back after "
            f"{came_back_s:.2f} s; alive: {verdict}; {STATES} power cuts: {cuts.verdict}",
            end="",
        )
    assert verdict.is_clean
    assert cuts.verdict.is_clean
    assert cuts.unreadable == 0
    assert set(how) <= {CLEAR_ERRORS[fault], LOST}


async def fail_for_a_while(cut: PowerCut, fault: str, server: Server, ledger: Ledger) -> float:
    """Break the disk under load and mend it; how long it took until every actor answered again."""
    is_over = False
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            turns = itertools.takewhile(lambda _: not is_over, itertools.count())
            group.create_task(keep_calling(server, ledger, number, turns))
        begun = Moment(ledger)
        await until(lambda: min(begun.told()) > 20)
        setattr(cut, fault, True)
        broken = Moment(ledger)
        await until(lambda: sum(endings(ledger).values()) > 10 * CALLERS)
        assert sum(broken.told()) == 0
        setattr(cut, fault, False)
        mended, mended_s = Moment(ledger), time.perf_counter()
        await until(lambda: min(mended.told()) > 0)
        came_back_s = time.perf_counter() - mended_s
        await until(lambda: min(mended.told()) > 20)
        is_over = True
    return came_back_s


@pytest.mark.parametrize("what", ["syncs", "writes"])
async def test_the_nth_that_fails(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", NTH_CHECKPOINT_PAGES)
    alive, after_cuts = Verdict(), Verdict()
    how: Counter[str] = Counter()
    for nth in range(1, NTH_MAX + 1):
        with closing(PowerCut()) as cut:
            ledger, found, cuts = await fail_nth(cut, tmp_path / str(nth), what, nth)
        alive += found
        assert cuts.unreadable == 0
        after_cuts += cuts.verdict
        how += endings(ledger)
    with capsys.disabled():
        print(
            f"\n  one of the first {NTH_MAX} {what} fails: not acknowledged {dict(how)}; alive: "
            f"{alive}; {NTH_MAX * NTH_STATES} power cuts: {after_cuts}",
            end="",
        )
    assert alive.is_clean
    assert after_cuts.is_clean
    assert set(how) <= {*CLEAR_ERRORS.values(), LOST}


async def fail_nth(
    cut: PowerCut, folder: Path, what: str, nth: int
) -> tuple[Ledger, Verdict, Cuts]:
    """Let one write or sync fail under load: the verdicts on the living server and after cuts."""
    ledger = Ledger(cut.position)
    store = await SqliteStore.open(str(folder / "data.db"), vfs=cut.name)
    begun_at = cut.position()
    setattr(cut, f"{what}_until_failure", nth)
    async with serving(store) as server:
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                turns = iter(range(NTH_CALLS))
                group.create_task(keep_calling(server, ledger, number, turns))
        assert getattr(cut, f"{what}_until_failure") < 0, "it never came to the failure"
        alive = await judge(server.port, ledger, cut.position())
    source = entropy.SeededSource(nth)
    places = random_places(begun_at, cut.position(), NTH_STATES, source)
    return ledger, alive, await cut_power(cut, ledger, places, source)


class Deaf(PowerCut):
    """A disk whose failures aren't told: what its failed sync should have kept is gone."""

    def check_sync(self, path: str) -> None:
        with suppress(apsw.IOError):
            super().check_sync(path)


async def test_a_failed_sync_that_is_passed_over_is_noticed(tmp_path: Path) -> None:
    with closing(Deaf()) as cut:
        _, alive, cuts = await fail_nth(cut, tmp_path, "syncs", 5)
    assert alive.is_clean
    assert cuts.verdict.lost > 0
