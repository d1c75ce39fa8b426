"""Two hundred worlds keep every promise, and each danger was met in many of them."""

import functools
from collections import Counter

import pytest

from denizen.testing.sim import table
from denizen.testing.world import Report, World

WORLDS = 200
_SHARE = 20
_MET_MIN = 20
"""In how many worlds each danger must have been met."""
_DANGERS = {
    "action_raises",
    "action_timeout",
    "call_cancelled",
    "call_repeated",
    "call_timeout",
    "commit_outcome_unknown",
    "crash",
    "crash_at_commit",
    "cut",
    "pause_client",
    "pause_server",
    "restart",
    "slow_disk",
    "slow_network",
    "store_unavailable",
    "usurp",
}


@functools.cache
def report_of(seed: int) -> Report:
    return World(seed).run()


@pytest.mark.parametrize("start", range(0, WORLDS, _SHARE))
def test_worlds_keep_every_promise(start: int) -> None:
    for seed in range(start, start + _SHARE):
        report = report_of(seed)
        assert report.is_counted, f"world {seed} proves nothing: {report}"


@pytest.mark.deadline(180)
def test_each_danger_was_met_in_many_worlds() -> None:
    reports = [report_of(seed) for seed in range(WORLDS)]
    print(table(reports))
    met: Counter[str] = Counter()
    for report in reports:
        met.update(name.removeprefix("fault.") for name in report.dangers)
    assert {name for name in _DANGERS if met[name] < _MET_MIN} == set()
    assert sum(report.acknowledged for report in reports) > 20 * WORLDS
