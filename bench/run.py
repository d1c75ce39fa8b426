"""`make bench`: the raw limits of this machine and Denizen, in one run, as one table.

python -m bench.run [--only NAME ...] [--seconds S] [--rounds N] [--json FILE] [--data DIR]
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench import machine
from bench.contest import Bench
from bench.durability import measure_syncs, measure_wide
from bench.footprint import measure_create, measure_memory, measure_start
from bench.generator import Generator, GeneratorFailed
from bench.lone import measure_lone, measure_neighbour
from bench.report import Report
from bench.servers import ROOT, ServerFailed
from bench.throughput import measure_durable, measure_fanout, measure_reads

Measure = Callable[[Bench], None]

MEASURES: Mapping[str, Measure] = {
    "lone": measure_lone,
    "durable": measure_durable,
    "reads": measure_reads,
    "create": measure_create,
    "fanout": measure_fanout,
    "memory": measure_memory,
    "start": measure_start,
    "syncs": measure_syncs,
    "wide": measure_wide,
    "neighbour": measure_neighbour,
}


def read_options(names: Iterable[str], about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(names), help="may be repeated")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="medians are over these (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--data", type=Path, help="measure the disk that this directory is on")
    return parser.parse_args()


def run_measures(measures: Mapping[str, Measure], options: argparse.Namespace) -> int:
    """Run what was asked for and print the table. 0 if all could be measured."""
    report, failed = Report(), 0
    about = {"machine": machine.describe(), "load average before": machine.load_average()}
    parent = options.data or ROOT / "build"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as root:
        generator = Generator(Path(root))
        bench = Bench(generator, Path(root), options.seconds, options.rounds, report)
        for name, measure in measures.items():
            if options.only and name not in options.only:
                continue
            print(f"{name} (load average {machine.load_average()})", flush=True)
            try:
                measure(bench)
            except (GeneratorFailed, ServerFailed) as error:
                failed += 1
                report.note(f"{name} could not be measured: {error}")
    about["load average after"] = machine.load_average()
    print("\n" + "\n".join(f"{name}: {value}" for name, value in about.items()))
    print("\n" + report.table())
    if options.json:
        report.write_json(options.json, about)
    return 1 if failed else 0


def run(measures: Mapping[str, Measure], options: argparse.Namespace) -> int:
    """`run_measures`, with the reason in one line where nothing can be measured at all."""
    try:
        return run_measures(measures, options)
    except GeneratorFailed as failed:
        print(failed, file=sys.stderr)
        return 1


def main() -> int:
    return run(MEASURES, read_options(MEASURES, __doc__ or ""))


if __name__ == "__main__":
    sys.exit(main())
