"""Writes the reference pages that are made from the code, or checks that they are fresh.

    python tools/generate_docs.py            write docs/reference/*.md
    python tools/generate_docs.py --check    write nothing; end with 1 if a page is stale

Each page is one function from the code's own table to text. Nothing is written by hand there.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from denizen.core import errors, limits

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE_BY = "<!-- Made by tools/generate_docs.py from {source}: change that, then `make docs`. -->"


def limits_page() -> str:
    """Every limit with its default, what it bounds and what happens over it."""
    rows = (
        (f"`{name}`", what, _amount(name, default), over)
        for name, default, what, over in limits.table()
    )
    return _page(
        "src/denizen/core/limits.py",
        "Limits",
        "Everything that can grow has a bound. These are the defaults. Sizes are in bytes (B), "
        "durations in seconds (s); a limit without a unit is a count.",
        _table(("name", "what is limited", "default", "over it"), rows),
    )


def errors_page() -> str:
    """Every error code with its status, close code, worth of retrying, and meaning."""
    rows = (
        (
            f"`{code}`",
            str(error.status),
            str(error.close_code or ""),
            "yes" if error.is_retryable else "no",
            _first_paragraph(error),
        )
        for code, error in errors.catalogue().items()
    )
    return _page(
        "src/denizen/core/errors.py",
        "Errors",
        'Over HTTP an error is `{"code", "message", "metadata"?}` with the status below; on a '
        "connection it is the answer to the call, or, where a close code stands, the connection "
        "may end with it. *Retry* says whether the same request can succeed later as it is. A code "
        "that isn't listed comes from an actor's author (`UserError`). The Python classes are in "
        "`denizen.core.errors`, each a `DenizenError`.",
        _table(("code", "status", "close", "retry", "meaning"), rows),
    )


PAGES: dict[str, Callable[[], str]] = {"limits.md": limits_page, "errors.md": errors_page}


def stale_pages() -> list[str]:
    """Names of the pages whose file isn't what the code says."""
    return [name for name, page in PAGES.items() if _read(REFERENCE / name) != page()]


def main(arguments: list[str]) -> int:
    stale = stale_pages()
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is stale: run `make docs`.", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(PAGES[name]())
        print(f"docs/reference/{name} was written.")
    return 0


def _page(source: str, title: str, introduction: str, body: str) -> str:
    return f"{MADE_BY.format(source=source)}\n\n# {title}\n\n{introduction}\n\n{body}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    ruler = tuple("---" for _ in head)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ruler, *rows))


def _amount(name: str, value: float) -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    words = name.removesuffix("_max").split("_")
    if "bytes" in words:
        return f"{number} B"
    return f"{number} s" if words[-1] == "s" else number


def _first_paragraph(error: type[errors.DenizenError]) -> str:
    paragraph = (error.__doc__ or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
