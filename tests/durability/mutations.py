"""Safeguards removed: each proof must notice, or it proves nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from denizen.state.committer import Committer
from denizen.store.contract import Batch, Outcome


@contextmanager
def replying_before_the_commit(by_s: float = 0.0) -> Iterator[None]:
    """Every commit counts as durable before it is handed to the store, `by_s` seconds before."""
    under_way: set[asyncio.Task[list[Outcome]]] = set()

    async def settle_early(committer: Committer, batches: list[Batch]) -> list[Outcome]:
        task = asyncio.create_task(apply_late(committer, batches))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return [Outcome.APPLIED] * len(batches)

    async def apply_late(committer: Committer, batches: list[Batch]) -> list[Outcome]:
        if by_s > 0:
            await asyncio.sleep(by_s)
        return await committer._store.apply(batches)

    careful = Committer._apply
    Committer._apply = settle_early  # type: ignore[method-assign]
    try:
        yield
    finally:
        Committer._apply = careful  # type: ignore[method-assign]
