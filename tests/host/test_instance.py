"""An instance between two turns of the loop, where only its own parts can be seen."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from denizen.core.errors import RpcTimedOut
from denizen.testing.system import running
from tests.behaviour.actors import ACTORS
from tests.behaviour.link import Latch


async def test_what_was_given_up_after_it_was_let_in_never_runs() -> None:
    async with running(ACTORS) as system:
        latch, book, host = Latch(system), system.get("book", "a"), system.host
        await book.read()
        alone = asyncio.ensure_future(book.change_all_alone(1, "door"))
        await latch.arrived("door")
        waiting = asyncio.ensure_future(book.add(7))
        await asyncio.sleep(0)
        (instance,) = [one for one in host._by_id.values() if one.record.type == "book"]
        activity = list(instance._activities.values())[-1]  # type: ignore[union-attr]
        soon = host.soon
        seen = 0

        def expire_first(function: Callable[..., None], *args: Any) -> None:
            nonlocal seen
            seen += not activity.has_run
            activity.expire()
            soon(function, *args)

        host.soon = expire_first  # type: ignore[method-assign]
        await latch.open("door")
        await alone
        with pytest.raises(RpcTimedOut):
            await waiting
        assert seen
        assert (await book.read())["items"] == [1, 1]
