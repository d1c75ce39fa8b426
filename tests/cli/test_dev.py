"""`denizen dev` as a real process: it serves, ends well, and says clearly why it can't begin."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.cli.process import Dev, accepts, run_denizen, wait_until

COUNTER = (Path(__file__).parents[2] / "examples" / "counter.py").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "counter.py").write_text(COUNTER)
    return tmp_path


def no_reload(folder: Path, target: str = "counter.py", *options: str) -> Dev:
    return Dev(folder, target, "--no-reload", *options)


def test_it_serves_a_file_and_says_where(folder: Path) -> None:
    with no_reload(folder) as dev:
        assert dev.call("counter/a", "increment", 2) == 2
        assert f"serves counter on {dev.url}" in dev.output()
        assert (folder / ".denizen").is_dir()


def test_it_serves_a_module_by_name(folder: Path) -> None:
    package = folder / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "actors.py").write_text("from counter import Counter\n")
    with no_reload(folder, "shop.actors") as dev:
        assert dev.call("counter/a", "increment") == 1


def test_a_page_is_announced(folder: Path) -> None:
    (folder / "counter.py").write_text(COUNTER + '\nPAGE = "/actors/counter/a/http/"\n')
    with no_reload(folder) as dev:
        dev.wait_for(f"{dev.url}/actors/counter/a/http/")


def test_a_file_may_be_called_like_a_module_in_use(folder: Path) -> None:
    (folder / "odd").mkdir()
    (folder / "odd" / "msgspec.py").write_text("from denizen import Actor\nclass Odd(Actor): ...\n")
    with no_reload(folder, "odd/msgspec.py") as dev:
        assert "serves odd on" in dev.output()


@pytest.mark.parametrize("options", [("--no-reload",), ("--reload",)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(folder: Path, options: tuple[str], number: int) -> None:
    with Dev(folder, "counter.py", *options) as dev:
        assert dev.call("counter/a", "increment") == 1
        dev.signal(number)
        assert dev.end() == 0
        dev.start()
        assert dev.call("counter/a", "increment") == 2


@pytest.mark.parametrize("options", [("--no-reload",), ("--reload",)])
def test_a_second_signal_ends_it_at_once(folder: Path, options: tuple[str]) -> None:
    (folder / "slow.py").write_text(
        "import asyncio\nfrom denizen import Actor, action\n"
        "class Slow(Actor):\n    @action\n    async def wait(self):\n"
        "        print('waiting', flush=True)\n        await asyncio.sleep(60)\n"
    )
    with Dev(folder, "slow.py", *options) as dev, ThreadPoolExecutor() as pool:
        call = pool.submit(dev.call, "slow/a", "wait")
        dev.wait_for("waiting")
        dev.signal(signal.SIGINT)
        wait_until(lambda: not accepts(dev.port), "the port is closed")
        dev.signal(signal.SIGINT)
        assert dev.end() == 128 + signal.SIGINT
        with pytest.raises((OSError, HTTPException)):
            call.result()


def test_state_survives_sigkill(folder: Path) -> None:
    with Dev(folder, "counter.py") as dev:
        for count in range(1, 4):
            assert dev.call("counter/a", "increment") == count
            dev.kill()
            dev.start()


def test_data_may_lie_elsewhere(folder: Path) -> None:
    with no_reload(folder, "counter.py", "--data", "else/where") as dev:
        dev.call("counter/a", "increment")
    assert list((folder / "else" / "where").iterdir())
    assert not (folder / ".denizen").exists()


@pytest.mark.parametrize("options", [("--no-reload",), ("--reload",)])
def test_a_taken_port(folder: Path, options: tuple[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_denizen("dev", "counter.py", "--port", str(port), *options, cwd=folder)
    assert result.returncode == 1
    assert f"Port {port}" in result.stderr
    assert "choose another port" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("options", [("--no-reload",), ("--reload",)])
def test_data_in_use_names_the_process(folder: Path, options: tuple[str]) -> None:
    with no_reload(folder) as dev:
        assert dev.process is not None
        result = run_denizen("dev", "counter.py", "--port", "0", *options, cwd=folder)
        assert result.returncode == 1
        assert f"in use by process {dev.process.pid}" in result.stderr
        assert "Traceback" not in result.stderr


def test_data_of_something_else(folder: Path) -> None:
    (folder / ".denizen").mkdir()
    (folder / ".denizen" / "denizen.db").write_text("Dear diary, today I was no database at all.")
    result = run_denizen("dev", "counter.py", "--no-reload", "--port", "0", cwd=folder)
    assert result.returncode == 1
    assert "denizen.db" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_module_that_doesnt_import_shows_its_own_lines_only(folder: Path) -> None:
    (folder / "broken.py").write_text(
        "import counter\n\n\ndef f():\n    return counter.nope\n\n\nf()\n"
    )
    result = run_denizen("dev", "broken.py", "--no-reload", cwd=folder)
    assert result.returncode == 1
    assert "broken.py can't be imported" in result.stderr
    assert "AttributeError: module 'counter' has no attribute 'nope'" in result.stderr
    assert result.stderr.count('File "') == 2
    assert 'broken.py", line 8' in result.stderr


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(0)\n", "can't be imported"),
        ("x = 1\n", "has no actors"),
        ("from denizen import Actor\n", "has no actors"),
        (
            "from denizen import Actor\n"
            "class A(Actor, type='t'): ...\n"
            "class B(Actor, type='t'): ...\n",
            "Two classes declare the actor type 't'",
        ),
    ],
)
def test_what_cant_be_served(folder: Path, code: str, told: str) -> None:
    (folder / "odd.py").write_text(code)
    result = run_denizen("dev", "odd.py", "--no-reload", cwd=folder)
    assert result.returncode == 1
    assert told in result.stderr
    assert "src/denizen" not in result.stderr


@pytest.mark.parametrize("target", ["nothing.py", "no/such.py", "not-a-module"])
def test_what_isnt_there_ends_at_once(folder: Path, target: str) -> None:
    result = run_denizen("dev", target, cwd=folder)
    assert result.returncode == 1
    assert target in result.stderr


def test_log_lines_as_json(folder: Path) -> None:
    (folder / "loud.py").write_text(
        "from denizen import Actor, action\n"
        "class Loud(Actor):\n    @action\n    def shout(self): self.log.info('hey', size=3)\n"
    )
    with no_reload(folder, "loud.py", "--json-logs") as dev:
        dev.call("loud/a", "shout")
        dev.wait_for('"message":"hey"')
        assert '"size":3' in dev.output()
