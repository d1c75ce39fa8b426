"""Loads an author's module and finds the actors in it. It serves nothing and prints nothing."""

import importlib
import importlib.util
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import msgspec

from denizen import Actor
from denizen.cli.screen import Failure

_FRAMES_MAX = 8


class Source(msgspec.Struct, frozen=True):
    """What was asked to be served: a Python file, or a module by its dotted name."""

    target: str

    @property
    def file(self) -> Path | None:
        """The file that is named, or None for a module."""
        is_file = self.target.endswith(".py") or os.sep in self.target
        return Path(self.target).resolve() if is_file else None

    @property
    def folder(self) -> Path:
        """Where its imports are found and its changes are watched."""
        file = self.file
        return Path.cwd() if file is None else file.parent

    def check(self) -> None:
        """Raises `Failure` for what no change of code could mend: a name that can't be meant."""
        file = self.file
        if file is not None and not file.is_file():
            raise Failure(f"There is no file {self.target}: give the path of a Python file.")
        if file is None and not all(part.isidentifier() for part in self.target.split(".")):
            raise Failure(f"{self.target!r} is neither a .py file nor a module's name.")


class Loaded(msgspec.Struct, frozen=True):
    """The actors of a module, and the page that it wants to be opened, if any."""

    classes: list[type[Actor[Any]]]
    page: str | None


def load(source: Source) -> Loaded:
    """Import the module and collect its actors. Raises `Failure` with the author's traceback."""
    sys.path.insert(0, str(source.folder))
    try:
        module = _import(source)
    except (Exception, SystemExit) as error:
        detail = _traceback(error)
        raise Failure(f"{source.target} can't be imported: see the error above.", detail) from None
    classes = _actors_in(module)
    if not classes:
        raise Failure(
            f"{source.target} has no actors: write a class like `class Counter(Actor): ...` "
            "in it, or import one there."
        )
    page = getattr(module, "PAGE", None)
    return Loaded(classes, page if isinstance(page, str) else None)


def _import(source: Source) -> ModuleType:
    file = source.file
    if file is None:
        return importlib.import_module(source.target)
    name = re.sub(r"\W", "_", file.stem)
    if name in sys.modules:  # a file may be called as a module that Denizen itself uses
        name = f"{name}_actors"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} isn't a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _actors_in(module: ModuleType) -> list[type[Actor[Any]]]:
    """The concrete actors among the module's names: its own, and those that it imported."""
    found: dict[type[Actor[Any]], None] = {}
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Actor) and value.__denizen_type__:
            found[value] = None
    return list(found)


def _traceback(error: BaseException) -> str:
    """The error as Python prints it, from the author's first line on."""
    error.__traceback__ = _from_author(error.__traceback__)
    lines = traceback.TracebackException.from_exception(error, limit=-_FRAMES_MAX)
    return "".join(lines.format())


def _from_author(frames: TracebackType | None) -> TracebackType | None:
    here = os.path.dirname(__file__)
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if not file.startswith((here, "<frozen importlib")) and "/importlib/" not in file:
            return frames
        frames = frames.tb_next
    return None
