"""The project's pages as the tests see them: fenced blocks, links, and what can be run.

A page is run like this. A Python block whose first line is `# NAME.py` is a file of that page. A
`console` block is a session: lines that begin with `$` are commands, the lines below each what it
prints. `$ denizen dev NAME.py` starts the server that the lines after it talk to.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# (\w+\.py)\n")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Command(NamedTuple):
    """A command of a session and what it prints."""

    line: str
    output: str


def name_of(page: Path) -> str:
    """The page's path from the project's root: for test ids and messages."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """All fenced blocks, in order."""
    return [Block(*found) for found in _FENCE.findall(page.read_text())]


def files(page: Path) -> dict[str, str]:
    """The files that a page's Python blocks make."""
    found = {}
    for block in blocks(page):
        if block.language == "python" and (named := _FILE_NAME.match(block.text)):
            found[named[1]] = block.text
    return found


def session(page: Path) -> Iterator[Command]:
    """The commands of a page's `console` blocks, in order."""
    for block in blocks(page):
        if block.language != "console":
            continue
        for chunk in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, output = chunk.partition("\n")
            yield Command(line, output.strip())


def links(page: Path) -> list[str]:
    """Where the page's links lead, those to other sites left out."""
    outside_fences = _FENCE.sub("", page.read_text())
    return [link for link in _LINK.findall(outside_fences) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
