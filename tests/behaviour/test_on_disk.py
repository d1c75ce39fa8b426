"""The same system over SQLite: what a restart of the store itself finds."""

from pathlib import Path

import pytest

from denizen.core.errors import ActorDestroyed
from denizen.testing.system import running
from tests.behaviour.actors import ACTORS


async def test_state_of_all_sizes_and_ends_survive_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/actors.db"
    sizes = (200_000, 89_995, 350_000)
    async with running(ACTORS, store_url=url) as system:
        room = await system.get("room", "a").who_am_i()
        await system.get("room", "a").end()
        for size in sizes:
            await system.get("book", str(size)).fill(size)
            await system.get("book", str(size)).change_all_alone(3)
            await system.get("book", str(size)).fill(size)
    async with running(ACTORS, store_url=url) as system:
        for size in sizes:
            read = await system.get("book", str(size)).read()
            assert (len(read["text"]), read["items"], read["count"]) == (size, [3, 3], 3)
        with pytest.raises(ActorDestroyed):
            await system.get_by_id("room", room["id"]).who_am_i()
        assert (await system.get("room", "a").who_am_i())["generation"] == 1
        assert await system.get("counter", "destroyed").read() == 1
