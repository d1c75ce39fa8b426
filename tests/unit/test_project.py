"""What `pyproject.toml` says about the project is so."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Installed for what we do import, without an import of ours: uvicorn parses HTTP with httptools.
UNIMPORTED = {"httptools"}


def runtime_dependencies() -> set[str]:
    return {re.split(r"[^\w-]", entry)[0] for entry in PROJECT["dependencies"]}


def imported_packages() -> set[str]:
    """The top-level names of all that `src` imports, our own and the standard library left out."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - {"denizen"} - sys.stdlib_module_names


def test_what_is_imported_is_what_is_installed() -> None:
    assert imported_packages() - runtime_dependencies() == set()
    assert runtime_dependencies() - imported_packages() == UNIMPORTED


def test_every_dependency_is_justified() -> None:
    page = (ROOT / "docs/design/0001-parts.md").read_text()
    justified = set(re.findall(r"^\| (\w+) \|", page, flags=re.MULTILINE)) - {"part"}
    assert justified == runtime_dependencies()


def test_the_installed_command_exists() -> None:
    module, _, function = PROJECT["scripts"]["denizen"].partition(":")
    source = ROOT / "src" / Path(*module.split(".")).with_suffix(".py")
    defined = [
        node.name
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert function in defined
