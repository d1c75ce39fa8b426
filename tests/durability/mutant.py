"""A server process with a safeguard removed: `python -m tests.durability.mutant MUTATION --data DIR`.

MUTATION is `unsynced` (SQLite doesn't sync), `early` (replies don't wait for the commit) or `behind`
(state is written some time after the reply, as write-behind caches do).
"""

import argparse
import asyncio
import signal
from contextlib import AbstractContextManager, nullcontext

import uvloop

from denizen.server import Options, Server
from denizen.store.sqlite import SqliteStore
from tests.durability.actors import ACTORS
from tests.durability.mutations import replying_before_the_commit

BEHIND_S = 0.02


def removed_by(mutation: str) -> AbstractContextManager[None]:
    match mutation:
        case "early":
            return replying_before_the_commit()
        case "behind":
            return replying_before_the_commit(BEHIND_S)
        case _:
            return nullcontext()


async def serve(mutation: str, data: str, port: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    store = await SqliteStore.open(f"{data}/denizen.db", synchronous=mutation != "unsynced")
    options = Options(store_url="memory:", port=port)
    with removed_by(mutation):
        async with Server(options, ACTORS, store=store) as server:
            print(server.url, flush=True)
            await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("mutation", choices=["unsynced", "early", "behind"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, required=True)
    words = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(words.mutation, words.data, words.port))
