"""The counter example, as the README shows it."""

import asyncio
from pathlib import Path

from denizen import Client
from tests.cli.process import Dev, run_denizen

COUNTER = Path(__file__).parents[2] / "examples" / "counter.py"


def test_two_ways_to_call_it(tmp_path: Path) -> None:
    with Dev(tmp_path, str(COUNTER), "--no-reload") as dev:
        assert dev.post("/actors/counter/a/rpc/increment", {"args": [2]}) == (200, {"output": 2})
        result = run_denizen("call", "counter/a", "increment", "2", "--url", dev.url)
        assert result.stdout == "4\n"


async def test_who_subscribed_hears_changes(tmp_path: Path) -> None:
    with Dev(tmp_path, str(COUNTER), "--no-reload") as dev:
        async with Client(dev.url) as client:
            counter = client.get("counter", "a")
            heard: asyncio.Queue[int] = asyncio.Queue()
            counter.on("changed", heard.put_nowait)
            assert await counter.increment(2) == 2
            await asyncio.to_thread(dev.call, "counter/a", "increment")
            assert [await heard.get(), await heard.get()] == [2, 3]
