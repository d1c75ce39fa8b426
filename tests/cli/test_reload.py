"""Reloading: new code takes over with the state kept; broken code disturbs nobody."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from denizen import Client
from tests.cli.process import Dev, accepts, wait_until

COUNTER = (Path(__file__).parents[2] / "examples" / "counter.py").read_text()
TWICE = COUNTER.replace("count += by", "count += 2 * by")
AGAIN = "Started anew"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counter.py").write_text(COUNTER)
    return tmp_path


def rewrite(folder: Path, text: str, name: str = "counter.py") -> None:
    """Save as editors do: a new file put in the old one's place."""
    (folder / "saving.tmp").write_text(text)
    os.replace(folder / "saving.tmp", folder / name)


def test_new_code_with_the_old_state(folder: Path) -> None:
    with Dev(folder, "counter.py") as dev:
        assert dev.call("counter/a", "increment", 10) == 10
        rewrite(folder, TWICE)
        dev.wait_for(AGAIN)
        assert dev.call("counter/a", "increment", 10) == 30
        rewrite(folder, COUNTER)
        dev.wait_for(AGAIN, times=2)
        assert dev.call("counter/a", "increment", 10) == 40


def test_broken_code_leaves_the_old_one_serving(folder: Path) -> None:
    with Dev(folder, "counter.py") as dev:
        dev.call("counter/a", "increment")
        rewrite(folder, TWICE + "\nthis is no Python\n")
        dev.wait_for("The old code goes on serving.")
        assert "SyntaxError" in dev.output()
        assert dev.call("counter/a", "increment") == 2
        rewrite(folder, TWICE)
        dev.wait_for(AGAIN)
        assert dev.call("counter/a", "increment") == 4


def test_code_that_was_broken_from_the_start(folder: Path) -> None:
    (folder / "counter.py").write_text("import nowhere\n")
    with Dev(folder, "counter.py", wait=False) as dev:
        dev.wait_for("Waiting for a change")
        assert "No module named 'nowhere'" in dev.output()
        rewrite(folder, COUNTER)
        dev.wait_for("serves counter on")


def test_what_the_module_imports_is_watched_too(folder: Path) -> None:
    (folder / "app.py").write_text("from rooms.counting import Counter\n")
    with Dev(folder, "app.py", wait=False) as dev:
        dev.wait_for("Waiting for a change")
        (folder / "rooms").mkdir()
        (folder / "rooms" / "counting.py").write_text(COUNTER)
        dev.wait_for("serves counter on")
        rewrite(folder / "rooms", TWICE, "counting.py")
        dev.wait_for(AGAIN)


def test_links_that_lead_nowhere_are_no_code(folder: Path) -> None:
    """Editors make them as locks beside what they edit."""
    (folder / ".#counter.py").symlink_to("somebody@somewhere:1")
    with Dev(folder, "counter.py") as dev:
        rewrite(folder, TWICE)
        dev.wait_for(AGAIN)
        assert "no longer watched" not in dev.output()


def test_the_server_going_down_by_itself_is_told(folder: Path) -> None:
    suicide = COUNTER.replace(
        "        return self", "        import os; os.abort()\n        return self"
    )
    (folder / "counter.py").write_text(suicide)
    with Dev(folder, "counter.py") as dev:
        with pytest.raises(OSError, match=r"."):
            dev.call("counter/a", "increment")
        dev.wait_for("ended by itself (SIGABRT)")
        rewrite(folder, COUNTER)
        dev.wait_for(AGAIN)
        assert dev.call("counter/a", "increment") == 1


def test_without_its_parent_the_server_ends_too(folder: Path) -> None:
    with Dev(folder, "counter.py") as dev:
        dev.call("counter/a", "increment")
        dev.signal(signal.SIGKILL)
        dev.end()
        wait_until(lambda: not accepts(dev.port), "the port is free")
        dev.start()
        assert dev.call("counter/a", "increment") == 2


def test_ending_while_code_is_loading(folder: Path) -> None:
    (folder / "counter.py").write_text(
        "print('loading', flush=True)\nimport time; time.sleep(60)\n"
    )
    with Dev(folder, "counter.py", wait=False) as dev:
        dev.wait_for("loading")
        dev.signal(signal.SIGINT)
        assert dev.end() == 128 + signal.SIGINT


async def test_a_client_goes_on_across_a_reload(folder: Path) -> None:
    with Dev(folder, "counter.py") as dev:
        async with Client(dev.url) as client:
            counter = client.get("counter", "a")
            heard: asyncio.Queue[int] = asyncio.Queue()
            counter.on("changed", heard.put_nowait)
            assert await counter.increment() == 1
            await asyncio.to_thread(rewrite, folder, TWICE)
            await asyncio.to_thread(dev.wait_for, AGAIN)
            assert await counter.increment() == 3
            assert [await heard.get(), await heard.get()] == [1, 3]
