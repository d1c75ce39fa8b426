"""A whole server on a disk that is recorded, and what such a disk is found to hold after a cut."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from denizen.core import entropy
from denizen.core.errors import StoreError
from denizen.server import Options, Server
from denizen.store.sqlite import SqliteStore
from denizen.testing.powercut import PowerCut
from tests.durability.actors import ACTORS
from tests.durability.ledger import (
    Ledger,
    Verdict,
    judge_count,
    judge_ended,
    judge_events,
    judge_lines,
)
from tests.durability.link import Refused, ask


@asynccontextmanager
async def serving(store: SqliteStore) -> AsyncIterator[Server]:
    """A server on that store, on a free port; it closes the store at its end."""
    async with Server(Options(store_url="memory:", port=0), ACTORS, store=store) as server:
        yield server


async def judge(port: int, ledger: Ledger, at: int) -> Verdict:
    """Ask a server for all that the ledger tells of, as it should be at that place."""
    verdict = Verdict()
    for actor in ledger.entries:
        value = await ask(port, actor, "value")
        increments, says, ends = (ledger.of(actor, name) for name in ("increment", "say", "end"))
        if increments:
            verdict += judge_count(increments, at, value)
            verdict += judge_events(ledger.events.get(actor, []), at, value)
        elif ends:
            verdict += judge_ended(says, ends, at, value)
        else:
            verdict += judge_lines(says, at, value)
    return verdict


@dataclass
class Cuts:
    """What the states came to."""

    verdict: Verdict = field(default_factory=Verdict)
    unreadable: int = 0
    amid_a_write: int = 0


async def cut_power(
    cut: PowerCut, ledger: Ledger, places: list[int], source: entropy.Source
) -> Cuts:
    """Judge the disk after cuts at those places, each with random writes lost and torn."""
    cuts = Cuts()
    for place in places:
        cuts.amid_a_write += cut.record[place - 1].kind == "change"
        with tempfile.TemporaryDirectory() as directory:
            cut.build_image(place, directory, source)
            try:
                async with serving(await SqliteStore.open(f"{directory}/data.db")) as server:
                    cuts.verdict += await judge(server.port, ledger, place)
            except (StoreError, Refused):
                cuts.unreadable += 1
    return cuts


def random_places(begin: int, end: int, count: int, source: entropy.Source) -> list[int]:
    """So many places from `begin` to `end`, in order."""
    return sorted(int(source.uniform(begin, end + 1)) for _ in range(count))
