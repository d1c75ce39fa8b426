"""Lets parts of a package be imported without the rest of it. Knows nothing of what is imported.

`import uvicorn.config` first runs the whole of uvicorn's `__init__`, and with it a command line and
a reloader; picows' brings proxies for clients. Of both we use the inside only, and what comes with
it would be a sixth of the time that a server takes to start.
"""

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_turn = RLock()
_begun: set[str] = set()


def import_parts_only(name: str) -> None:
    """From now on `import name.part` loads that part, and not what the package itself imports.

    An author who uses the package sees no difference: its `__init__` runs when it is asked for a
    name that isn't a part loaded before. Harmless for a package that is there already.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        sys.modules[name] = package = module_from_spec(spec)
        package.__class__ = _Unrun


class _Unrun(ModuleType):
    """A package whose `__init__` hasn't run.

    The standard `LazyLoader` is no help: it runs a package as soon as a part of it is imported.
    """

    def __getattr__(self, name: str) -> Any:
        with _turn:  # threads wait here for the one that runs it
            if self.__name__ not in _begun:  # else it is itself that asks, while it runs
                _run(self)
        return ModuleType.__getattribute__(self, name)


def _run(package: ModuleType) -> None:
    spec = package.__spec__
    assert spec is not None
    assert spec.loader is not None
    _begun.add(package.__name__)
    try:
        spec.loader.exec_module(package)
    except BaseException:
        _begun.remove(package.__name__)  # who asks next is told the reason, too
        raise
    package.__class__ = ModuleType
