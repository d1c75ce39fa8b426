"""Bounds, at, below and above, on every driver."""

from collections.abc import Callable

import pytest

from denizen.core.errors import (
    DenizenError,
    KeyReserved,
    KeyTooLarge,
    StoreClosed,
    TransactionTooLarge,
    ValueTooLarge,
)
from denizen.core.limits import DEFAULT
from denizen.store import Batch, Guard, Outcome, Transaction
from tests.store.drivers import DRIVERS, Driver, everything, get, on_every_driver, put, reading

pytestmark = on_every_driver

KEY_MAX = DEFAULT.store_key_bytes_max
VALUE_MAX = DEFAULT.store_value_bytes_max
TRANSACTION_MAX = DEFAULT.transaction_bytes_max


@pytest.mark.parametrize("size", [KEY_MAX - 1, KEY_MAX])
async def test_a_key_within_its_bound_is_kept(driver: Driver, size: int) -> None:
    async with driver() as store:
        await put(store, (b"k" * size, b"1"))
        assert await get(store, b"k" * size) == b"1"


@pytest.mark.parametrize("size", [VALUE_MAX - 1, VALUE_MAX])
async def test_a_value_within_its_bound_is_kept(driver: Driver, size: int) -> None:
    async with driver() as store:
        await put(store, (b"a", b"v" * size))
        assert await get(store, b"a") == b"v" * size


KEY_USES: dict[str, Callable[[Transaction, bytes], object]] = {
    "set": lambda transaction, key: transaction.set(key, b""),
    "clear": lambda transaction, key: transaction.clear(key),
    "clear_range from": lambda transaction, key: transaction.clear_range(key, b"\xff"),
    "clear_range to": lambda transaction, key: transaction.clear_range(b"", key),
    "get_range from": lambda transaction, key: transaction.get_range(key, b"\xff"),
    "get_range to": lambda transaction, key: transaction.get_range(b"", key),
    "add": lambda transaction, key: transaction.add(key, 1),
    "versionstamp": lambda transaction, key: transaction.set_versionstamped_key(key, b"", b""),
    "read conflict": lambda transaction, key: transaction.add_read_conflict_key(key),
    "write conflict": lambda transaction, key: transaction.add_write_conflict_key(key),
}


@pytest.mark.parametrize("use", KEY_USES.values(), ids=KEY_USES.keys())
@pytest.mark.parametrize(
    ("key", "error"),
    [(b"k" * (KEY_MAX + 1), KeyTooLarge), (b"\xff", KeyReserved), (b"\xff/a", KeyReserved)],
    ids=["too large", "reserved", "below reserved"],
)
async def test_a_bad_key_is_refused_wherever_it_is_used(
    driver: Driver,
    use: Callable[[Transaction, bytes], object],
    key: bytes,
    error: type[DenizenError],
) -> None:
    if key == b"\xff" and use in (KEY_USES["clear_range to"], KEY_USES["get_range to"]):
        return  # a range may end there
    if key == b"\xff/a" and use is KEY_USES["versionstamp"]:
        key = b"\xff"
    async with driver() as store, reading(store) as transaction:
        with pytest.raises(error):
            use(transaction, key)
        with pytest.raises(error):
            await transaction.get(key)
        with pytest.raises(error):
            await store.apply([Batch((Guard(key, None),))])
        with pytest.raises(error):
            await store.apply([Batch((), ((key, b""),))])
        with pytest.raises(error):
            await store.apply([Batch((), clears=(key,))])
        with pytest.raises(error):
            store.watch(key)


async def test_a_value_over_its_bound_is_refused(driver: Driver) -> None:
    async with driver() as store, reading(store) as transaction:
        too_large = b"v" * (VALUE_MAX + 1)
        with pytest.raises(ValueTooLarge):
            transaction.set(b"a", too_large)
        with pytest.raises(ValueTooLarge):
            transaction.set_versionstamped_key(b"a", b"", too_large)
        with pytest.raises(ValueTooLarge):
            await store.apply([Batch((), ((b"b", b""), (b"a", too_large)))])
        assert await everything(store) == {}


def sized_pairs(total: int) -> list[tuple[bytes, bytes]]:
    """Pairs whose keys and values have `total` bytes."""
    pairs = []
    while total > 0:
        size = min(total, VALUE_MAX + 4)
        pairs.append((b"%04d" % len(pairs), bytes(size - 4)))
        total -= size
    return pairs


async def test_a_transaction_of_its_largest_size_is_committed(driver: Driver) -> None:
    async with driver() as store:
        pairs = sized_pairs(TRANSACTION_MAX)
        await put(store, *pairs)
        assert (await store.stats())["bytes"] == TRANSACTION_MAX
        again = Batch((), tuple((key, b"1" * len(value)) for key, value in pairs))
        assert await store.apply([again]) == [Outcome.APPLIED]


async def test_a_transaction_over_its_bound_is_refused(driver: Driver) -> None:
    async with driver() as store:
        pairs = sized_pairs(TRANSACTION_MAX)
        transaction = store.transaction()
        for key, value in pairs:
            transaction.set(key, value)
        with pytest.raises(TransactionTooLarge):
            transaction.clear(b"x")
        transaction.cancel()
        half = len(pairs) // 2
        with pytest.raises(TransactionTooLarge):
            await store.apply(
                [
                    Batch((), tuple(pairs[:half])),
                    Batch((Guard(b"x", None),), tuple(pairs[half:])),
                ]
            )
        assert await everything(store) == {}


async def test_a_marker_that_the_batch_does_not_set_is_a_mistake(driver: Driver) -> None:
    async with driver() as store:
        with pytest.raises(ValueError, match="marker"):
            await store.apply([Batch((), ((b"a", b"1"),), marker=(b"a", b"2"))])


async def test_a_closed_store_refuses_everything(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        late = store.transaction()
        late.set(b"a", b"1")
        waiting = store.watch(b"a")
        await store.close()
        await store.close()
        with pytest.raises(StoreClosed):
            await waiting
        with pytest.raises(StoreClosed):
            store.transaction()
        with pytest.raises(StoreClosed):
            await transaction.get(b"a")
        with pytest.raises(StoreClosed):
            await late.commit()
        with pytest.raises(StoreClosed):
            await store.apply([Batch((), ((b"a", b"1"),))])
        with pytest.raises(StoreClosed):
            store.watch(b"a")
        with pytest.raises(StoreClosed):
            await store.stats()


async def test_stats_tell_what_is_there(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"123"), (b"bc", b""))
        stats = await store.stats()
        assert DRIVERS[stats["driver"]] is driver
        assert (stats["keys"], stats["bytes"], stats["format_version"]) == (2, 6, 1)
