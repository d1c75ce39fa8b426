"""What a run prints: figures with their ratios, marks and verdicts, as a table and as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured figure. `met` is None where there is no mark to meet."""

    name: str
    value: float
    unit: str
    ratio: str = ""
    mark: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {None: "", True: "ok", False: "short"}[self.met]


def readable(value: float, unit: str) -> str:
    """A number in as many digits as it deserves."""
    if abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif abs(value) >= 100:
        text = f"{value:.0f}"
    elif abs(value) >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.4f}"
    return f"{text} {unit}".strip()


@dataclass
class Report:
    """The figures of one run, printed as they come and as one table at the end."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        print(f"  {figure.name}: {readable(figure.value, figure.unit)}", flush=True)

    def note(self, text: str) -> None:
        """Something a reader must know to judge the figures."""
        self.notes.append(text)
        print(f"  ({text})", flush=True)

    def table(self) -> str:
        head = ("figure", "value", "as a ratio", "mark", "")
        rows = [
            (f.name, readable(f.value, f.unit), f.ratio, f.mark, f.verdict) for f in self.figures
        ]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in [head, tuple("-" * w for w in widths), *rows]
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def write_json(self, path: Path, about: dict[str, str]) -> None:
        figures = [{**asdict(figure), "verdict": figure.verdict} for figure in self.figures]
        document = {"about": about, "figures": figures, "notes": self.notes}
        path.write_text(json.dumps(document, indent=1) + "\n")
