"""The docs are tested: links lead somewhere, code is code, and what is generated is fresh."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import typer.main

from denizen.cli import main
from denizen.core import errors, limits
from denizen.sdk.actor import Actor
from tests.unit import docs_pages
from tools import generate_docs

every_page = pytest.mark.parametrize("page", docs_pages.PAGES, ids=docs_pages.name_of)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in docs_pages.links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in docs_pages.anchors(target), f"{link} has no such heading"


@every_page
def test_python_is_python(page: Path) -> None:
    for block in docs_pages.blocks(page):
        if block.language == "python":
            compile(block.text, docs_pages.name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@every_page
def test_sessions_use_files_of_their_page(page: Path) -> None:
    known = docs_pages.files(page)
    for command in docs_pages.session(page):
        for word in command.line.split():
            assert not word.endswith(".py") or word in known, f"{word} isn't on the page"


def test_every_page_can_be_reached() -> None:
    """From the README, by links; decisions are found by their folder."""
    waiting = [docs_pages.ROOT / "README.md"]
    reached = set(waiting)
    while waiting:
        page = waiting.pop()
        for link in docs_pages.links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                waiting.append(target)
    decisions = {page for page in docs_pages.PAGES if page.parent.name == "design"}
    assert set(docs_pages.PAGES) - reached - decisions == set()


def test_decisions_are_numbered() -> None:
    names = [page.name for page in docs_pages.PAGES if page.parent.name == "design"]
    numbers = [re.match(r"(\d{4})-[a-z0-9-]+\.md$", name) for name in names]
    assert all(numbers), names
    assert len({number[1] for number in numbers if number}) == len(names)


def test_what_an_actor_has_is_in_the_guides() -> None:
    guides = "\n".join(page.read_text() for page in docs_pages.PAGES if "guides" in page.parts)
    public = [name for name, _ in inspect.getmembers(Actor) if not name.startswith("_")]
    assert [name for name in public if name not in guides] == []


def test_reference_pages_are_fresh() -> None:
    assert generate_docs.stale_pages() == []


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_docs, "REFERENCE", tmp_path)
    assert generate_docs.main(["--check"]) == 1
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0
    (tmp_path / "limits.md").write_text("something else")
    assert generate_docs.main(["--check"]) == 1


def test_reference_pages_name_everything() -> None:
    limits_page, errors_page = generate_docs.limits_page(), generate_docs.errors_page()
    assert [name for name, *_ in limits.table() if f"`{name}`" not in limits_page] == []
    assert [code for code in errors.catalogue() if f"`{code}`" not in errors_page] == []


def test_every_option_of_the_command_line_is_in_its_guide() -> None:
    guide = (docs_pages.ROOT / "docs/guides/cli.md").read_text()
    verbs = typer.main.get_command(main.app).commands
    assert [verb for verb in verbs if f"## denizen {verb}" not in guide] == []
    options = {
        name
        for verb in verbs.values()
        for option in verb.params
        for name in [*option.opts, *option.secondary_opts]
        if name.startswith("--")
    }
    assert [name for name in sorted(options) if f"`{name}" not in guide] == []
