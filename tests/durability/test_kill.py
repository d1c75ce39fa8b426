"""SIGKILL at any moment, again and again: what was acknowledged is there, once."""

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from denizen.core import entropy
from tests.durability.ledger import Ledger, Outcome, Verdict, judge_count
from tests.durability.link import PATIENCE_S, Link, ask, linked
from tests.durability.process import Process, dev_words, mutant_words

ROUNDS = int(os.environ.get("DENIZEN_KILL_ROUNDS", "100"))
MUTANT_ROUNDS = 5
LINKS = 64
IN_FLIGHT = 4
LOAD_S = 0.4
FIRST_ANSWER_S_MAX = 1.0

# Half of the connections have a counter each, the others share one.
COUNTERS = [f"counter/{number}" if number % 2 else "counter/all" for number in range(LINKS)]
PROBE = "counter/probe"


class Kills:
    """The rounds, and what they came to."""

    def __init__(self) -> None:
        self.bases = dict.fromkeys(COUNTERS, 0)
        self.starts = 0
        self.verdict = Verdict()
        self.first_answers_s: list[float] = []
        self.ledger = Ledger(lambda: 0)
        self.outcomes = dict.fromkeys(Outcome, 0)

    async def round(self, process: Process, source: entropy.Source) -> None:
        """Look at what the round before left, put the server under load, and kill it."""
        async with AsyncExitStack() as stack:
            links = [await stack.enter_async_context(linked(process.port, a)) for a in COUNTERS]
            await self.look(links)
            async with asyncio.TaskGroup() as group:
                for link, actor in zip(links, COUNTERS, strict=True):
                    for _ in range(IN_FLIGHT):
                        group.create_task(increment_until_lost(self.ledger, link, actor))
                await asyncio.sleep(source.uniform(0, LOAD_S))
                process.kill()
        for outcome in Outcome:
            self.outcomes[outcome] += self.ledger.count(outcome)

    async def look(self, links: list[Link]) -> None:
        """Judge every counter by the last round's ledger, and begin the next one."""
        values = await asyncio.gather(*(link.call("value") for link in links))
        found = dict(zip(COUNTERS, values, strict=True))
        assert [found[actor] for actor in COUNTERS] == values, "a counter has two values"
        for actor, value in found.items():
            entries = self.ledger.of(actor, "increment")
            self.verdict += judge_count(entries, 0, value, self.bases[actor])
        self.bases = found
        self.ledger = Ledger(lambda: 0)

    async def start_again(self, process: Process) -> None:
        """Start the server; the time until a durable call is answered."""
        started_at = time.perf_counter()
        process.spawn()
        self.starts += 1
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    value = await ask(process.port, PROBE, "increment")
                    break
                except ConnectionError:
                    process.check_alive()
                    await asyncio.sleep(0.005)
        self.first_answers_s.append(time.perf_counter() - started_at)
        assert value == self.starts, "the probe's own count is wrong"

    def __str__(self) -> str:
        p50, worst = statistics.median(self.first_answers_s), max(self.first_answers_s)
        told = ", ".join(f"{count:,} {outcome.value}" for outcome, count in self.outcomes.items())
        return (
            f"\n  {self.starts} kills under load from {LINKS} connections: {told}; {self.verdict}"
            f"\n  start to first durable answer: p50 {p50:.2f} s, worst {worst:.2f} s"
        )


async def kill_while_it_starts(process: Process, source: entropy.Source) -> None:
    process.spawn()
    await asyncio.sleep(source.uniform(0, LOAD_S))
    process.kill()


async def increment_until_lost(ledger: Ledger, link: Link, actor: str) -> None:
    while (await ledger.call(link, actor, "increment")).outcome is not Outcome.UNKNOWN:
        pass


async def kill_again_and_again(words: list[str], folder: Path, rounds: int) -> Kills:
    kills = Kills()
    source = entropy.Source()
    with Process(words, folder / "log") as process:
        for number in range(rounds):
            await kills.round(process, source)
            if number % 10 == 9:
                await kill_while_it_starts(process, source)
            await kills.start_again(process)
        async with AsyncExitStack() as stack:
            links = [await stack.enter_async_context(linked(process.port, a)) for a in COUNTERS]
            await kills.look(links)
    return kills


@pytest.mark.deadline(60 + 5 * ROUNDS)
async def test_a_killed_server_loses_nothing_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = await kill_again_and_again(dev_words(tmp_path / "data"), tmp_path, ROUNDS)
    with capsys.disabled():
        print(kills, end="")
    assert kills.verdict.is_clean
    assert kills.verdict.looked_for == kills.outcomes[Outcome.ACKNOWLEDGED] > 10 * ROUNDS
    assert kills.outcomes[Outcome.UNKNOWN] > ROUNDS, "it was hardly ever killed in the middle"
    assert kills.outcomes[Outcome.FAILED] == 0
    assert statistics.median(kills.first_answers_s) <= FIRST_ANSWER_S_MAX


async def test_state_that_is_written_behind_its_replies_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = mutant_words(tmp_path / "data", "behind")
    kills = await kill_again_and_again(words, tmp_path, MUTANT_ROUNDS)
    with capsys.disabled():
        print(f"\n  safeguard removed, state is written some time after the reply:{kills}", end="")
    assert kills.verdict.lost > 0
