"""The drivers that the conformance suite runs on, and what its tests share.

A driver is a name and a way to open an empty store; another one is added to `DRIVERS` and is held
to everything in `test_conformance_*.py`.
"""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

import pytest

from denizen.core import clock
from denizen.store import Store, Transaction, open_store

Driver = Callable[[], AbstractAsyncContextManager[Store]]

END = b"\xff"


@asynccontextmanager
async def memory() -> AsyncIterator[Store]:
    store = await open_store("memory:")
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def sqlite() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as directory:
        store = await open_store(f"sqlite://{directory}/data.db")
        try:
            yield store
        finally:
            await store.close()


DRIVERS: dict[str, Driver] = {"memory": memory, "sqlite": sqlite}

on_every_driver = pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS.keys())


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[Transaction]:
    """A transaction that is cancelled at the end."""
    transaction = store.transaction()
    try:
        yield transaction
    finally:
        transaction.cancel()


async def put(store: Store, *pairs: tuple[bytes, bytes]) -> None:
    """Set pairs in one transaction."""
    transaction = store.transaction()
    for key, value in pairs:
        transaction.set(key, value)
    await transaction.commit()


async def get(store: Store, key: bytes) -> bytes | None:
    """What a key holds now."""
    async with reading(store) as transaction:
        return await transaction.get(key)


async def pairs(
    transaction: Transaction, begin: bytes = b"", end: bytes = END, **options: object
) -> list[tuple[bytes, bytes]]:
    """All pairs of a range."""
    return [pair async for pair in transaction.get_range(begin, end, **options)]  # type: ignore[arg-type]


async def everything(store: Store) -> dict[bytes, bytes]:
    """All pairs of the store now."""
    async with reading(store) as transaction:
        return dict(await pairs(transaction))


class ShiftedSource:
    """The machine's clocks, the one for deadlines moved by `by_s`."""

    now = staticmethod(time.time)

    def __init__(self) -> None:
        self.by_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.by_s


@contextmanager
def movable_clock() -> Iterator[ShiftedSource]:
    """Time that a test can move on."""
    source = ShiftedSource()
    with clock.use(source):
        yield source
