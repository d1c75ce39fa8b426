"""What the pages show happens: their sessions are run against a real `denizen dev`."""

from pathlib import Path

import pytest

from tests.docs.session import Session, same
from tests.unit import docs_pages

WITH_SESSION = [page for page in docs_pages.PAGES if any(docs_pages.session(page))]


@pytest.mark.parametrize("page", WITH_SESSION, ids=docs_pages.name_of)
def test_a_page_shows_what_happens(page: Path, tmp_path: Path) -> None:
    with Session.open(tmp_path, docs_pages.files(page)) as session:
        for command in docs_pages.session(page):
            printed = session.run(command.line)
            assert same(printed, command.output), (
                f"$ {command.line}\nprinted {printed!r}, the page says {command.output!r}\n"
                f"{session.server_log}"
            )


def test_pages_with_sessions_were_found() -> None:
    assert len(WITH_SESSION) >= 6
