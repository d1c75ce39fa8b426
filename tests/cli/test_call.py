"""`denizen call` and `denizen version` against a real server."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

import denizen
from tests.cli.process import Dev, run_denizen

ACTORS = """
from denizen import Actor, UserError, action

class Echo(Actor):
    @action
    def same(self, value: object) -> object:
        return value

    @action
    def kinds(self, *values: object) -> list[str]:
        return [type(value).__name__ for value in values]

    @action
    def where(self) -> list:
        return [self.key, self.actor_id]

    @action
    def refuse(self) -> None:
        raise UserError("No, thank you.", code="refused", metadata={"why": "tired"})

    @action
    async def dawdle(self) -> None:
        import asyncio
        await asyncio.sleep(30)
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("call")
    (folder / "echo.py").write_text(ACTORS)
    with Dev(folder, "echo.py", "--no-reload") as dev:
        yield dev


def call(dev: Dev, *words: str) -> "subprocess.CompletedProcess[str]":
    return run_denizen("call", *words, "--url", dev.url)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2", 2),
        ("-2", -2),
        ("2.5", 2.5),
        ("true", True),
        ("null", None),
        ('{"text":"milk"}', {"text": "milk"}),
        ('"2"', "2"),
        ("milk", "milk"),
        ("milk and more", "milk and more"),
        ('"-milk"', "-milk"),
    ],
)
def test_an_argument_is_json_or_else_text(dev: Dev, written: str, meant: object) -> None:
    result = call(dev, "echo/a", "same", written)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == meant


def test_several_arguments(dev: Dev) -> None:
    result = call(dev, "echo/a", "kinds", "1", "a", "[]")
    assert json.loads(result.stdout) == ["int", "str", "list"]


def test_addresses(dev: Dev) -> None:
    key, actor_id = json.loads(call(dev, "echo/berlin,room%204", "where").stdout)
    assert key == ["berlin", "room 4"]
    assert json.loads(call(dev, f"echo/~{actor_id}", "where").stdout) == [key, actor_id]
    assert json.loads(call(dev, "echo/-", "where").stdout)[0] == []


def test_an_error_is_told_with_its_code(dev: Dev) -> None:
    result = call(dev, "echo/a", "refuse")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "refused: No, thank you." in result.stderr
    assert "tired" in result.stderr


def test_an_error_for_programs(dev: Dev) -> None:
    result = call(dev, "echo/a", "refuse", "--json")
    assert result.returncode == 1
    assert json.loads(result.stderr) == {
        "code": "refused",
        "message": "No, thank you.",
        "metadata": {"why": "tired"},
    }


def test_a_result_for_programs_is_one_line(dev: Dev) -> None:
    assert call(dev, "echo/a", "same", '{"a":[1,2]}', "--json").stdout == '{"a":[1,2]}\n'


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("echo/a", "nope"), "rpc_not_found"),
        (("nobody/a", "same"), "actor_type_not_found"),
        (("echo", "same"), "write TYPE/KEY"),
        (("echo/%zz", "same"), "invalid_key"),
        (("echo/a", "same", "--jsn"), "There is no option --jsn"),
        (("echo/a", "dawdle", "--timeout", "0.3"), "outcome_unknown"),
    ],
)
def test_what_goes_wrong_is_told(dev: Dev, words: tuple[str, ...], told: str) -> None:
    result = call(dev, *words)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_no_server(url: str) -> None:
    result = run_denizen("call", "echo/a", "same", "1", "--url", url)
    assert result.returncode == 1
    assert url in result.stderr
    assert "Traceback" not in result.stderr


def test_version() -> None:
    assert run_denizen("version").stdout == f"{denizen.__version__}\n"


def test_help_names_the_verbs() -> None:
    text = run_denizen("--help").stdout
    assert all(verb in text for verb in ("dev", "call", "version"))


def test_serving_doesnt_load_what_only_calling_and_drawing_need() -> None:
    code = (
        "import sys, denizen.cli.main, denizen.cli.serving\n"
        "print([name for name in ('rich', 'denizen.client') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"
