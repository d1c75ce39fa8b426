"""The Python runtime: which actor types it has, and how their bodies are made."""

import asyncio
from collections.abc import Iterable
from typing import Any

from denizen.core.limits import DEFAULT, Limits
from denizen.host.runtimes.python.body import PythonBody
from denizen.host.runtimes.python.runners import Runners
from denizen.host.runtimes.python.tracking import TrackedType
from denizen.host.runtimes.python.turns import task_factory
from denizen.sdk.actor import Actor, ActorType, type_of
from denizen.wire.runtime import ActionInfo, Body, Say, TypeInfo


class PythonRuntime:
    """Bodies of Python actors in this process (`wire.runtime.Runtime`)."""

    def __init__(self, classes: Iterable[type[Actor[Any]]], limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._runners: Runners | None = None
        self._types: dict[str, ActorType] = {}
        self._tracked: dict[str, TrackedType | None] = {}
        for cls in classes:
            declared = type_of(cls)
            taken = self._types.get(declared.name)
            if taken is not None and taken.cls is not cls:
                raise TypeError(
                    f"Two classes declare the actor type {declared.name!r}: {taken.cls.__qualname__} "
                    f"and {cls.__qualname__}. Give one another name: class {cls.__name__}(..., type=...)."
                )
            self._types[declared.name] = declared
            state = declared.state_type
            self._tracked[declared.name] = None if state is None else TrackedType(state)

    def types(self) -> dict[str, TypeInfo]:
        """What the host must know of each type."""
        return {name: _info(declared, self._limits) for name, declared in self._types.items()}

    def make_body(self, type_name: str, say: Say) -> Body:
        """A body of that type in the running event loop, which gets the turns' task factory."""
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not task_factory:
            loop.set_task_factory(task_factory)
        if self._runners is None:
            self._runners = Runners(loop)
        return PythonBody(
            self._types[type_name],
            self._tracked[type_name],
            self._limits,
            self._runners,
            loop,
            say,
        )

    def close(self) -> None:
        """No body is made any more."""
        if self._runners is not None:
            self._runners.close()
            self._runners = None


def _info(declared: ActorType, limits: Limits) -> TypeInfo:
    return TypeInfo(
        name=declared.name,
        actions={
            name: ActionInfo(action.is_exclusive, action.timeout_s or limits.action_timeout_s)
            for name, action in declared.actions.items()
        },
        create_explicitly=declared.create_explicitly,
        has_http=declared.has_http,
        hooks=declared.hooks,
    )
