"""The server starts without what it doesn't use, and authors don't notice."""

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = "import sys, denizen.server\n"


def run(code: str) -> str:
    """In a process of its own: what is imported here was imported by other tests long ago."""
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "unused", ["click", "uvicorn.main", "watchfiles", "picows.proxy", "python_socks", "rich"]
)
def test_a_server_does_not_load_what_it_does_not_use(unused: str) -> None:
    assert run(f"print({unused!r} in sys.modules)") == "False\n"


def test_an_author_uses_the_packages_as_ever() -> None:
    code = """
import picows, uvicorn, uvicorn.lifespan.on
from uvicorn import Config
print(uvicorn.run.__module__, Config is uvicorn.config.Config, uvicorn.lifespan.on.__name__)
print(picows.ws_connect.__module__, type(picows).__name__)
"""
    expected = "uvicorn.main True uvicorn.lifespan.on\npicows.api module\n"
    assert run(code) == expected


def test_a_name_that_is_not_there_is_told_as_ever() -> None:
    assert "module 'uvicorn' has no attribute 'walk'" in run("import uvicorn; uvicorn.walk")


def test_threads_that_ask_at_once_get_the_whole() -> None:
    code = """
import threading, uvicorn
def ask():
    gate.wait()
    found.append(uvicorn.run)
gate, found = threading.Barrier(4), []
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found))
"""
    assert run(code) == "4\n"


def test_a_package_that_fails_to_run_says_why_each_time(tmp_path: Path) -> None:
    code = f"""
import pathlib
from denizen.gateway.packages import import_parts_only
folder = pathlib.Path({str(tmp_path)!r}, "halfway")
folder.mkdir()
(folder / "__init__.py").write_text("raise ImportError('no reason')")
(folder / "part.py").write_text("word = 'whole'")
sys.path.insert(0, str(folder.parent))
import_parts_only("halfway")
from halfway.part import word
print(word)
for _ in range(2):
    try:
        sys.modules["halfway"].other
    except ImportError as error:
        print(error)
"""
    assert run(code) == "whole\nno reason\nno reason\n"
