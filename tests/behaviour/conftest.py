"""Worlds of these tests: the same actors with their bodies in this process, or behind a pipe."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from denizen.core.limits import Limits
from denizen.testing.piped import BodyProcess, PipedRuntime
from denizen.testing.system import System, running
from tests.behaviour.actors import ACTORS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEADLINE_S = 10
Open = Callable[..., AbstractAsyncContextManager[System]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests take milliseconds: one that hangs is to say so soon."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("deadline") is None:
            item.add_marker(pytest.mark.deadline(DEADLINE_S))


@pytest.fixture(scope="session")
def bodies() -> Iterator[BodyProcess]:
    """The process in which piped bodies live: one for all tests, for starting one takes long."""
    process = BodyProcess("tests.behaviour.actors", ROOT)
    yield process
    process.close()


@asynccontextmanager
async def in_process(**options: Any) -> AsyncIterator[System]:
    limits = options.pop("limits", {})
    async with running(ACTORS, limits=Limits(**limits), **options) as system:
        yield system


@pytest.fixture(params=["python", "piped"])
def world(request: pytest.FixtureRequest) -> Open:
    """Opens a system with all actors, on both runtimes: `async with world(limits={…}) as system`."""
    if request.param == "python":
        return in_process
    process: BodyProcess = request.getfixturevalue("bodies")

    @asynccontextmanager
    async def piped(**options: Any) -> AsyncIterator[System]:
        limits = Limits(**options.pop("limits", {}))
        runtime = PipedRuntime(process, limits)
        with process.attached():
            async with running(limits=limits, runtime=runtime, **options) as system:
                yield system

    return piped


@pytest.fixture
def here() -> Open:
    """Like `world`, with bodies in this process only: for what needs their logs or their loop."""
    return in_process
