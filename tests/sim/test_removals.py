"""A safeguard that is taken out is noticed, within a bounded number of worlds."""

import pytest

from denizen.testing.monitors import Violation
from denizen.testing.world import World
from tests.sim.removals import REMOVALS, Removal

SEEDS_MAX = 60


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.__name__)
def test_a_removed_safeguard_is_noticed(removal: Removal, monkeypatch: pytest.MonkeyPatch) -> None:
    removal(monkeypatch)
    for seed in range(SEEDS_MAX):
        try:
            World(seed).run()
        except Violation as violation:
            print(f"{removal.__name__} was noticed in world {seed}: {violation}")
            return
    pytest.fail(f"{removal.__name__} went unnoticed in {SEEDS_MAX} worlds")
