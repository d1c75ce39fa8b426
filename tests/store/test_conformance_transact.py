"""`transact`: again on a conflict, applied once, on every driver."""

import asyncio

import pytest

from denizen.core.errors import StoreConflict, TransactionTooOld
from denizen.store import Transaction
from tests.store.drivers import Driver, everything, get, movable_clock, on_every_driver, put

pytestmark = on_every_driver


async def test_the_result_is_returned_and_the_writes_are_there(driver: Driver) -> None:
    async with driver() as store:

        async def set_a(transaction: Transaction) -> str:
            transaction.set(b"a", b"1")
            return "done"

        assert await store.transact(set_a) == "done"
        assert await everything(store) == {b"a": b"1"}


async def test_a_conflict_runs_it_again(driver: Driver) -> None:
    async with driver() as store:
        seen: list[bytes | None] = []

        async def copy(transaction: Transaction) -> None:
            seen.append(await transaction.get(b"a"))
            if len(seen) == 1:
                await put(store, (b"a", b"theirs"))
            transaction.set(b"b", seen[-1] or b"none")

        await store.transact(copy)
        assert seen == [None, b"theirs"]
        assert await get(store, b"b") == b"theirs"


async def test_concurrent_increments_all_count(driver: Driver) -> None:
    async with driver() as store:

        async def increment(transaction: Transaction) -> None:
            value = await transaction.get(b"n")
            await asyncio.sleep(0)
            transaction.set(b"n", b"%d" % (int(value or b"0") + 1))

        async def worker() -> None:
            for _ in range(10):
                await store.transact(increment, deadline_s=30)

        await asyncio.gather(*(worker() for _ in range(10)))
        assert await get(store, b"n") == b"100"


async def test_what_the_function_raises_is_raised_and_nothing_written(driver: Driver) -> None:
    async with driver() as store:

        async def fail(transaction: Transaction) -> None:
            transaction.set(b"a", b"1")
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await store.transact(fail)
        assert await everything(store) == {}


async def test_after_the_deadline_the_last_error_is_raised(driver: Driver) -> None:
    async with driver() as store:
        runs = 0

        async def lose(transaction: Transaction) -> None:
            nonlocal runs
            runs += 1
            await transaction.get(b"a")
            await put(store, (b"a", b"%d" % runs))
            transaction.set(b"b", b"1")

        with pytest.raises(StoreConflict):
            await store.transact(lose, deadline_s=0.05)
        assert runs > 1
        assert await get(store, b"b") is None


async def test_one_that_became_too_old_is_run_again(driver: Driver) -> None:
    async with driver() as store:
        with movable_clock() as time:
            runs = 0

            async def slow_at_first(transaction: Transaction) -> None:
                nonlocal runs
                runs += 1
                transaction.set(b"a", await transaction.get(b"a") or b"1")
                time.by_s += 5 if runs == 1 else 0

            await store.transact(slow_at_first)
            assert runs == 2
            runs = 0
            with pytest.raises(TransactionTooOld):
                await store.transact(slow_at_first, deadline_s=4)


async def test_no_trace_of_the_retries_is_left(driver: Driver) -> None:
    async with driver() as store:

        async def increment(transaction: Transaction) -> None:
            transaction.set(b"n", b"%d" % (int(await transaction.get(b"n") or b"0") + 1))

        for _ in range(100):
            await store.transact(increment)
        assert await everything(store) == {b"n": b"100"}
        assert (await store.stats())["keys"] == 1
