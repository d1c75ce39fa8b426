"""Watches end when the value differs, and only then, on every driver."""

import asyncio

from denizen.store import Batch
from tests.store.drivers import Driver, on_every_driver, put

pytestmark = on_every_driver


async def test_a_watch_ends_when_the_value_differs(driver: Driver) -> None:
    async with driver() as store:
        for change in (
            Batch((), ((b"a", b"1"),)),
            Batch((), ((b"a", b"2"),)),
            Batch((), clears=(b"a",)),
            Batch((), ((b"a", b""),)),
            Batch((), clear_ranges=((b"", b"z"),)),
        ):
            watch = asyncio.ensure_future(store.watch(b"a"))
            await store.apply([change])
            await watch


async def test_transactions_end_watches_too(driver: Driver) -> None:
    async with driver() as store:
        watches = [asyncio.ensure_future(store.watch(b"n")) for _ in range(3)]
        transaction = store.transaction()
        transaction.add(b"n", 1)
        await transaction.commit()
        await asyncio.gather(*watches)


async def test_a_watch_stays_while_the_value_is_the_same(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"))
        watch = asyncio.ensure_future(store.watch(b"a"))
        await put(store, (b"a", b"1"))
        await put(store, (b"b", b"2"))
        await put(store, (b"a", b"2"), (b"a", b"1"))
        assert not watch.done()
        await put(store, (b"a", b"2"))
        await watch


async def test_no_change_between_the_watch_and_a_later_read_is_missed(driver: Driver) -> None:
    async with driver() as store:
        for n in range(50):
            under_way = asyncio.ensure_future(store.apply([Batch((), ((b"a", b"%d" % n),))]))
            await asyncio.sleep(0)
            watch = asyncio.ensure_future(store.watch(b"a"))
            transaction = store.transaction()
            seen = await transaction.get(b"a")
            transaction.cancel()
            if seen != b"%d" % n:
                await watch
            watch.cancel()
            await under_way


async def test_a_watch_that_is_given_up_is_forgotten(driver: Driver) -> None:
    async with driver() as store:
        watch = asyncio.ensure_future(store.watch(b"a"))
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await put(store, (b"a", b"1"))
