"""`python -m denizen.testing.sim`: run simulated worlds and print what was tried in them.

--seeds N --start S   N worlds from seed S on
--seed X              one world; a broken promise prints the end of its trace
--events N            with --seed: the last N events, also of a world that went well
"""

import argparse
import sys
import traceback
from collections import Counter

from denizen.testing.monitors import Violation
from denizen.testing.world import Report, World


def main() -> int:
    """0 if every promise held in every world."""
    options = _parse()
    seeds = (
        [options.seed]
        if options.seed is not None
        else range(options.start, options.start + options.seeds)
    )
    reports: list[Report] = []
    broken: list[int] = []
    for seed in seeds:
        world = World(seed)
        try:
            reports.append(world.run())
        except Violation as violation:
            broken.append(seed)
            traceback.print_exception(violation, limit=0)
        if options.events:
            print(world.trace.tail(options.events))
    print(table(reports))
    for seed in broken:
        print(f"broken: python -m denizen.testing.sim --seed {seed}")
    return 1 if broken else 0


def table(reports: list[Report]) -> str:
    """Counts over all worlds, and in how many each danger was met."""
    counts: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for report in reports:
        counts.update(report.counts)
        met.update(report.dangers.keys())
    lines = [
        f"worlds {len(reports)}, of which with danger {sum(report.is_counted for report in reports)}",
        f"virtual seconds {sum(report.virtual_s for report in reports):.0f}, "
        f"slowest healing {max((report.healing_s for report in reports), default=0.0):.1f} s",
        f"calls acknowledged {sum(report.acknowledged for report in reports)}, "
        f"outcome unknown {sum(report.unknown for report in reports)}, "
        f"frames {counts['frame.in'] + counts['frame.out']}, commits {counts['commit']}",
        f"{'danger':<28} {'times':>8} {'worlds':>8}",
    ]
    lines += [
        f"{name.removeprefix('fault.'):<28} {counts[name]:>8} {met[name]:>8}"
        for name in sorted(met)
    ]
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m denizen.testing.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--events", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
