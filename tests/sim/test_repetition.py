"""A world is its seed: run again, in this process or in another, it is the same to the last byte."""

import os
import subprocess
import sys

from denizen.testing.world import World

SEEDS = range(1_000, 1_020)
_CODE = f"""
from denizen.testing.world import World
print(*(World(seed).run().digest for seed in range({SEEDS.start}, {SEEDS.start + 5})))
"""


def test_the_same_seed_gives_the_same_digest() -> None:
    first = [World(seed).run().digest for seed in SEEDS]
    assert [World(seed).run().digest for seed in SEEDS] == first
    assert len(set(first)) == len(first)


def test_another_process_with_other_hashes_gives_the_same_digest() -> None:
    found = {digests_with_hashes_of(hash_seed) for hash_seed in ("1", "2", "3")}
    assert found == {" ".join(World(seed).run().digest for seed in SEEDS[:5])}


def digests_with_hashes_of(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", _CODE], env=environment, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
