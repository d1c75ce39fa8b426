"""Which transactions conflict, and which don't, on every driver."""

from collections.abc import Awaitable, Callable

import pytest

from denizen.core.errors import StoreConflict, TransactionTooOld
from denizen.store import Batch, Outcome, Store, Transaction
from tests.store.drivers import (
    Driver,
    everything,
    get,
    movable_clock,
    on_every_driver,
    pairs,
    put,
)

pytestmark = on_every_driver

Step = Callable[[Transaction], Awaitable[object]]


async def read_a(transaction: Transaction) -> object:
    return await transaction.get(b"a")


async def read_range(transaction: Transaction) -> object:
    return await pairs(transaction, b"a", b"d")


async def read_first_two(transaction: Transaction) -> object:
    return await pairs(transaction, b"a", b"z", limit=2)


async def read_last_two(transaction: Transaction) -> object:
    return await pairs(transaction, b"a", b"z", limit=2, reverse=True)


async def name_a(transaction: Transaction) -> object:
    return transaction.add_read_conflict_key(b"a")


async def set_a(transaction: Transaction) -> object:
    return transaction.set(b"a", b"other")


async def set_same_a(transaction: Transaction) -> object:
    return transaction.set(b"a", b"1")


async def set_c(transaction: Transaction) -> object:
    return transaction.set(b"c", b"other")


async def set_d(transaction: Transaction) -> object:
    return transaction.set(b"d", b"other")


async def set_g(transaction: Transaction) -> object:
    return transaction.set(b"g", b"other")


async def clear_a(transaction: Transaction) -> object:
    return transaction.clear(b"a")


async def clear_all(transaction: Transaction) -> object:
    return transaction.clear_range(b"", b"z")


async def clear_z(transaction: Transaction) -> object:
    return transaction.clear_range(b"x", b"z")


async def add_a(transaction: Transaction) -> object:
    return transaction.add(b"a", 1)


async def touch_a(transaction: Transaction) -> object:
    return transaction.add_write_conflict_key(b"a")


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (read_a, set_a),
        (read_a, set_same_a),
        (read_a, clear_a),
        (read_a, clear_all),
        (read_a, add_a),
        (read_a, touch_a),
        (name_a, set_a),
        (read_range, set_a),
        (read_range, set_c),
        (read_range, clear_a),
        (read_range, clear_all),
        (read_range, touch_a),
        (read_first_two, set_a),
        (read_last_two, set_g),
        (read_last_two, clear_z),
    ],
)
async def test_a_read_that_changed_since_is_a_conflict(
    driver: Driver, mine: Step, theirs: Step
) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"1"), (b"e", b"1"), (b"f", b"1"))
        assert await is_conflict(store, mine, theirs)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (read_a, set_c),
        (read_a, clear_z),
        (set_a, set_a),
        (set_a, clear_all),
        (add_a, add_a),
        (touch_a, set_a),
        (read_range, set_d),
        (read_range, clear_z),
        (read_first_two, set_c),
        (read_last_two, set_c),
        (read_last_two, set_d),
        (name_a, set_c),
    ],
)
async def test_what_was_not_read_is_no_conflict(driver: Driver, mine: Step, theirs: Step) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"1"), (b"e", b"1"), (b"f", b"1"))
        assert not await is_conflict(store, mine, theirs)


async def is_conflict(store: Store, mine: Step, theirs: Step) -> bool:
    """Whether mine, begun first and committed last, conflicts with theirs and leaves nothing."""
    transaction = store.transaction()
    await mine(transaction)
    other = store.transaction()
    await theirs(other)
    await other.commit()
    before = await everything(store)
    transaction.set(b"mine", b"1")
    try:
        await transaction.commit()
    except StoreConflict:
        assert await everything(store) == before
        return True
    assert await get(store, b"mine") == b"1"
    return False


async def test_snapshot_reads_add_no_conflict(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"))
        transaction = store.transaction()
        assert await transaction.get(b"a", snapshot=True) == b"1"
        assert await pairs(transaction, b"", b"z", snapshot=True) == [(b"a", b"1")]
        await put(store, (b"a", b"2"))
        transaction.set(b"b", b"1")
        await transaction.commit()
        assert await everything(store) == {b"a": b"2", b"b": b"1"}


async def test_reading_what_oneself_has_written_adds_no_conflict(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        await transaction.get(b"unrelated")
        transaction.set(b"a", b"mine")
        assert await transaction.get(b"a") == b"mine"
        await put(store, (b"a", b"theirs"))
        await transaction.commit()
        assert await get(store, b"a") == b"mine"


async def test_a_transaction_that_only_reads_never_conflicts(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"))
        transaction = store.transaction()
        await transaction.get(b"a")
        await put(store, (b"a", b"2"))
        assert await transaction.commit() is None


async def test_batches_and_transactions_see_each_other(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"))
        transaction = store.transaction()
        await transaction.get(b"a")
        transaction.set(b"b", b"1")
        assert await store.apply([Batch((), ((b"a", b"2"),))]) == [Outcome.APPLIED]
        with pytest.raises(StoreConflict):
            await transaction.commit()


async def test_of_two_that_read_and_write_the_same_one_is_committed(driver: Driver) -> None:
    async with driver() as store:
        both = [store.transaction(), store.transaction()]
        for transaction in both:
            await transaction.get(b"a")
            transaction.set(b"a", b"1")
        await both[1].commit()
        with pytest.raises(StoreConflict):
            await both[0].commit()


async def test_write_skew_is_a_conflict(driver: Driver) -> None:
    async with driver() as store:
        first, second = store.transaction(), store.transaction()
        assert await first.get(b"a") is None
        assert await second.get(b"b") is None
        first.set(b"b", b"1")
        second.set(b"a", b"1")
        await first.commit()
        with pytest.raises(StoreConflict):
            await second.commit()


async def test_a_transaction_of_more_than_4_s_is_too_old(driver: Driver) -> None:
    async with driver() as store:
        with movable_clock() as time:
            await put(store, (b"a", b"1"))
            young, old, reader = (store.transaction() for _ in range(3))
            for transaction in (young, old, reader):
                await transaction.get(b"a")
                transaction.set(b"b", b"1")
            time.by_s += 3.5
            await young.commit()
            time.by_s += 1.0
            with pytest.raises(TransactionTooOld):
                await reader.get(b"a")
            with pytest.raises(TransactionTooOld):
                await pairs(reader)
            with pytest.raises(TransactionTooOld):
                await old.commit()
            reader.cancel()
