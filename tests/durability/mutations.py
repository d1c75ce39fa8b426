"""Safeguards removed: each proof must notice, or it proves nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from denizen.state.committer import Committer
from denizen.store.contract import Batch, Outcome


@contextmanager
def replying_before_the_commit() -> Iterator[None]:
    """Every commit counts as durable as soon as it was handed to the store."""
    under_way: set[asyncio.Task[list[Outcome]]] = set()

    async def settle_early(committer: Committer, batches: list[Batch]) -> list[Outcome]:
        task = asyncio.create_task(committer._store.apply(batches))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return [Outcome.APPLIED] * len(batches)

    careful = Committer._apply
    Committer._apply = settle_early  # type: ignore[method-assign]
    try:
        yield
    finally:
        Committer._apply = careful  # type: ignore[method-assign]
