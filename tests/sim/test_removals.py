"""A safeguard that is taken out is noticed, within a bounded number of worlds, and for what it is."""

import pytest

from denizen.testing.monitors import Monitors, Violation
from denizen.testing.world import World
from tests.sim.removals import REMOVALS, Removal, no_gate, reply_before_commit

WORLDS_MAX = 40
"""In how many worlds with its danger a removal may stay unnoticed."""
WORLDS_IN_ALL_MAX = 150


def first_violation(removal: Removal) -> Violation | None:
    """What is noticed of a removal; None if nothing is in the worlds that it has."""
    counted = 0
    for seed in range(WORLDS_IN_ALL_MAX):
        world = World(seed)
        try:
            world.run()
        except Violation as violation:
            name = removal.take_out.__name__
            print(f"{name}: noticed in world {seed}, after {counted} others with its danger")
            return violation
        counted += bool(world.trace.counts[removal.danger])
        if counted == WORLDS_MAX:
            break
    return None


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.take_out.__name__)
def test_a_removed_safeguard_is_noticed(removal: Removal, monkeypatch: pytest.MonkeyPatch) -> None:
    removal.take_out(monkeypatch)
    violation = first_violation(removal)
    assert violation is not None, "it went unnoticed"
    assert str(violation).startswith(removal.noticed_as)


@pytest.mark.parametrize("take_out", [reply_before_commit, no_gate])
def test_the_ledger_alone_notices_too(take_out: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody looking at what leaves: a power cut between a reply and its commit is enough."""
    removal = next(removal for removal in REMOVALS if removal.take_out is take_out)
    removal.take_out(monkeypatch)
    for check in ("check_durable", "check_destroyed", "commits_sent", "commits_settled"):
        monkeypatch.setattr(Monitors, check, lambda self, *args: None)
    violation = first_violation(removal)
    assert violation is not None, "it went unnoticed"
