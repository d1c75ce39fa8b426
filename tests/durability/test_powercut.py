"""Power cuts of the whole server: every state that the disk may be left in holds what was told.

The server runs on a disk that records what is written and when it is synced; clients note where the
record is when they ask and when they are answered. Afterwards the disk is built as it may be after
a cut at places in the record, and a whole server on it is asked for everything.
"""

import asyncio
import os
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path

import pytest

from denizen.core import entropy
from denizen.server import Server
from denizen.store.sqlite import SqliteStore, writer
from denizen.testing.powercut import PowerCut
from tests.durability.ledger import Ledger, Outcome
from tests.durability.link import linked
from tests.durability.mutations import replying_before_the_commit
from tests.durability.world import Cuts, cut_power, random_places, serving

STATES = int(os.environ.get("DENIZEN_POWER_CUTS", "300"))
MUTANT_STATES = 60
LINKS = 2  # to each counter and each room
IN_FLIGHT = 3
CALLS = 40  # of each connection's each caller
COUNTER_EVENTS = LINKS * (LINKS * IN_FLIGHT * CALLS)  # as many as come if all connect at once
COUNTERS = [f"counter/{number}" for number in range(4)]
ROOMS = [f"room/{number}" for number in range(2)]
PASSING_ROOMS = [f"room/passing{number}" for number in range(12)]
CHECKPOINT_PAGES = 25
"""The log is copied into the database forty times as often as in life, so that cuts fall into it."""


async def put_under_load(server: Server, ledger: Ledger) -> None:
    """Counters and rooms that grow, rooms that come and go; ends when every call was answered."""
    async with asyncio.TaskGroup() as group:
        for number in range(LINKS):
            for actor in COUNTERS:
                group.create_task(increment(server, ledger, actor))
            for actor in ROOMS:
                group.create_task(talk(server, ledger, actor, str(number)))
        group.create_task(come_and_go(server, ledger))


async def increment(server: Server, ledger: Ledger, actor: str) -> None:
    async with linked(server.port, actor) as link:
        link.subscribe("changed", partial(ledger.hear, actor))
        for _ in range(CALLS):
            calls = (ledger.call(link, actor, "increment") for _ in range(IN_FLIGHT))
            await asyncio.gather(*calls)


async def talk(server: Server, ledger: Ledger, actor: str, writer: str) -> None:
    async with linked(server.port, actor) as link:
        for turn in range(CALLS):
            texts = [f"{writer}/{turn * IN_FLIGHT + number}" for number in range(IN_FLIGHT)]
            await asyncio.gather(*(ledger.call(link, actor, "say", text) for text in texts))


async def come_and_go(server: Server, ledger: Ledger) -> None:
    for actor in PASSING_ROOMS:
        async with linked(server.port, actor) as link:
            for number in range(IN_FLIGHT):
                await ledger.call(link, actor, "say", f"0/{number}")
            await ledger.call(link, actor, "end")


async def run_on(cut: PowerCut, path: str, *, synchronous: bool) -> tuple[Ledger, int, int]:
    """A server under load on that disk: its clients' ledger, and the record's part that is theirs."""
    await (await SqliteStore.open(path, vfs=cut.name)).close()
    store = await SqliteStore.open(path, vfs=cut.name, synchronous=synchronous)
    ledger = Ledger(cut.position)
    begun_at = cut.position()
    async with serving(store) as server:
        await put_under_load(server, ledger)
    return ledger, begun_at, cut.position()


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", CHECKPOINT_PAGES)


@pytest.mark.deadline(60 + STATES // 2)
async def test_power_cuts_keep_what_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts, checkpoints = await cut_again_and_again(tmp_path, STATES)
    report(capsys, "as it is", cuts, STATES)
    assert cuts.verdict.looked_for > 100 * STATES
    assert cuts.verdict.is_clean
    assert cuts.unreadable == 0
    assert cuts.amid_a_write > STATES // 10
    assert checkpoints > 2


async def test_power_cuts_without_syncing_lose_what_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts, _ = await cut_again_and_again(tmp_path, MUTANT_STATES, synchronous=False)
    report(capsys, "without syncing", cuts, MUTANT_STATES)
    assert cuts.verdict.lost > 0


async def test_power_cuts_with_replies_before_the_commit_lose_what_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    removed = replying_before_the_commit()
    cuts, _ = await cut_again_and_again(tmp_path, MUTANT_STATES, removed=removed)
    report(capsys, "with replies before the commit", cuts, MUTANT_STATES)
    assert cuts.verdict.lost > 0


async def cut_again_and_again(
    folder: Path,
    states: int,
    *,
    synchronous: bool = True,
    removed: AbstractContextManager[None] | None = None,
) -> tuple[Cuts, int]:
    """One run under load, and what the disk may hold after cuts in it; how many checkpoints it had.

    removed: a safeguard that is missing during the run.
    """
    source = entropy.SeededSource(1)
    with closing(PowerCut()) as cut:
        path = str(folder / "data.db")
        with removed or nullcontext():
            ledger, begun_at, ended_at = await run_on(cut, path, synchronous=synchronous)
        places = random_places(begun_at, ended_at, states, source)
        cuts = await cut_power(cut, ledger, places, source)
        record = cut.record[begun_at:ended_at]
    assert ledger.count(Outcome.ACKNOWLEDGED) == len(list(ledger.all())), "a call failed"
    assert min(len(ledger.events[actor]) for actor in COUNTERS) > COUNTER_EVENTS // 2
    return cuts, sum(event.kind == "sync" and event.path.endswith(".db") for event in record)


def report(capsys: pytest.CaptureFixture[str], how: str, cuts: Cuts, states: int) -> None:
    with capsys.disabled():
        print(
            f"\n  {states} power cuts {how} ({cuts.amid_a_write} amid a write): {cuts.verdict}, "
            f"{cuts.unreadable} states unreadable",
            end="",
        )
