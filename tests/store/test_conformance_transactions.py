"""What one transaction sees and leaves, on every driver."""

import struct

import pytest

from denizen.core.errors import StoreClosed
from tests.store.drivers import Driver, everything, get, on_every_driver, pairs, put, reading

pytestmark = on_every_driver


async def test_an_absent_key_is_none(driver: Driver) -> None:
    async with driver() as store:
        assert await get(store, b"a") is None


async def test_what_was_committed_is_read(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b""))
        assert await everything(store) == {b"a": b"1", b"b": b""}


async def test_the_empty_key_and_zero_bytes_are_kept(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"", b"e"), (b"\x00", b"z"), (b"\x00\x00", b"\x00"), (b"\xfe\xff", b"h"))
        async with reading(store) as transaction:
            assert [key for key, _ in await pairs(transaction)] == [
                b"",
                b"\x00",
                b"\x00\x00",
                b"\xfe\xff",
            ]


async def test_a_transaction_sees_its_own_writes(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"2"))
        transaction = store.transaction()
        transaction.set(b"a", b"new")
        transaction.clear(b"b")
        transaction.set(b"c", b"3")
        assert await transaction.get(b"a") == b"new"
        assert await transaction.get(b"b") is None
        assert await pairs(transaction) == [(b"a", b"new"), (b"c", b"3")]
        assert await everything(store) == {b"a": b"1", b"b": b"2"}
        await transaction.commit()
        assert await everything(store) == {b"a": b"new", b"c": b"3"}


async def test_a_set_after_a_clear_holds_and_a_clear_after_a_set_too(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"2"))
        transaction = store.transaction()
        transaction.clear_range(b"a", b"z")
        transaction.set(b"b", b"again")
        transaction.set(b"c", b"3")
        transaction.clear(b"c")
        assert await pairs(transaction) == [(b"b", b"again")]
        await transaction.commit()
        assert await everything(store) == {b"b": b"again"}


async def test_clear_range_leaves_its_end(driver: Driver) -> None:
    async with driver() as store:
        await put(store, *((bytes([n]), b"") for n in range(5)))
        transaction = store.transaction()
        transaction.clear_range(b"\x01", b"\x03")
        transaction.clear_range(b"\x04", b"\x04")
        transaction.clear_range(b"\x04", b"\x01")
        await transaction.commit()
        assert list(await everything(store)) == [b"\x00", b"\x03", b"\x04"]


async def test_a_cancelled_transaction_leaves_nothing(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        transaction.set(b"a", b"1")
        transaction.cancel()
        transaction.cancel()
        assert await everything(store) == {}


@pytest.mark.parametrize("ending", ["commit", "cancel"])
async def test_after_its_end_every_use_is_refused(driver: Driver, ending: str) -> None:
    async with driver() as store:
        transaction = store.transaction()
        stream = transaction.get_range(b"", b"z")
        if ending == "commit":
            await transaction.commit()
        else:
            transaction.cancel()
        with pytest.raises(StoreClosed):
            await transaction.get(b"a")
        with pytest.raises(StoreClosed):
            transaction.get_range(b"a", b"b")
        with pytest.raises(StoreClosed):
            await anext(stream)
        for write in (
            lambda: transaction.set(b"a", b"1"),
            lambda: transaction.clear(b"a"),
            lambda: transaction.clear_range(b"a", b"b"),
            lambda: transaction.add(b"a", 1),
            lambda: transaction.set_versionstamped_key(b"a", b"", b""),
            lambda: transaction.add_read_conflict_key(b"a"),
            lambda: transaction.add_write_conflict_key(b"a"),
        ):
            with pytest.raises(StoreClosed):
                write()
        with pytest.raises(StoreClosed):
            await transaction.commit()


async def test_reads_come_from_one_snapshot(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"1"))
        async with reading(store) as transaction:
            assert await transaction.get(b"a") == b"1"
            await put(store, (b"a", b"2"), (b"b", b"2"), (b"c", b"2"))
            assert await transaction.get(b"b") == b"1"
            assert await pairs(transaction) == [(b"a", b"1"), (b"b", b"1")]
        assert await get(store, b"b") == b"2"


async def test_an_acknowledged_commit_is_seen_by_whoever_begins_then(driver: Driver) -> None:
    async with driver() as store:
        for n in range(50):
            await put(store, (b"a", b"%d" % n))
            assert await get(store, b"a") == b"%d" % n


# Ranges.


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 7, 64, 65, 1_000, 2_000])
async def test_a_long_range_is_whole_and_in_order(
    driver: Driver, limit: int, reverse: bool
) -> None:
    async with driver() as store:
        rows = [(b"k%04d" % n, b"v%d" % n) for n in range(1_000)]
        await put(store, *rows, (b"j", b"before"), (b"l", b"after"))
        expected = rows[::-1] if reverse else rows
        async with reading(store) as transaction:
            found = await pairs(transaction, b"k", b"l", limit=limit, reverse=reverse)
        assert found == (expected[:limit] if limit else expected)


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_range_with_own_writes_between_is_whole_and_in_order(
    driver: Driver, reverse: bool
) -> None:
    async with driver() as store:
        await put(store, *((b"k%04d" % n, b"old") for n in range(0, 1_000, 2)))
        transaction = store.transaction()
        expected = {b"k%04d" % n: b"old" for n in range(0, 1_000, 2)}
        for n in range(1, 1_000, 10):
            transaction.set(b"k%04d" % n, b"new")
            expected[b"k%04d" % n] = b"new"
        transaction.clear_range(b"k0200", b"k0400")
        expected = {key: v for key, v in expected.items() if not b"k0200" <= key < b"k0400"}
        found = await pairs(transaction, b"k", b"l", reverse=reverse)
        limited = await pairs(transaction, b"k0100", b"l", reverse=reverse, limit=120)
        transaction.cancel()
        assert found == sorted(expected.items(), reverse=reverse)
        inside = [pair for pair in found if pair[0] >= b"k0100"]
        assert limited == inside[:120]


async def test_values_of_many_bytes_are_streamed(driver: Driver) -> None:
    async with driver() as store:
        for n in range(30):
            await put(store, (b"%02d" % n, bytes([n]) * 100_000))
        async with reading(store) as transaction:
            found = await pairs(transaction)
        assert found == [(b"%02d" % n, bytes([n]) * 100_000) for n in range(30)]


async def test_an_empty_or_inverted_range_holds_nothing(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b"2"))
        async with reading(store) as transaction:
            assert await pairs(transaction, b"a", b"a") == []
            assert await pairs(transaction, b"b", b"a") == []
            assert await pairs(transaction, b"x", b"y", reverse=True) == []


async def test_a_range_shows_the_writes_made_before_it_was_asked_for(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        transaction.set(b"a", b"1")
        found = []
        async for key, _ in transaction.get_range(b"", b"z"):
            transaction.set(b"b" + key, b"2")
            found.append(key)
        assert found == [b"a"]
        await transaction.commit()
        assert list(await everything(store)) == [b"a", b"ba"]


# Adding.


def number(value: int) -> bytes:
    return struct.pack("<q", value)


async def test_add_counts_from_zero_and_wraps(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        transaction.add(b"new", 5)
        transaction.add(b"new", -7)
        transaction.add(b"high", 2**63 - 1)
        await transaction.commit()
        transaction = store.transaction()
        transaction.add(b"high", 1)
        transaction.add(b"new", 1)
        assert await transaction.get(b"new") == number(-1)
        assert dict(await pairs(transaction)) == {b"new": number(-1), b"high": number(-(2**63))}
        await transaction.commit()
        assert await everything(store) == {b"new": number(-1), b"high": number(-(2**63))}


async def test_add_after_own_writes_builds_on_them(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", number(1)), (b"b", number(1)), (b"c", number(1)))
        transaction = store.transaction()
        transaction.set(b"a", number(10))
        transaction.add(b"a", 1)
        transaction.clear(b"b")
        transaction.add(b"b", 2)
        transaction.add(b"c", 3)
        transaction.clear_range(b"c", b"d")
        transaction.add(b"c", 4)
        transaction.add(b"d", 5)
        transaction.set(b"d", number(6))
        await transaction.commit()
        expected = {b"a": number(11), b"b": number(2), b"c": number(4), b"d": number(6)}
        assert await everything(store) == expected


async def test_adds_of_many_transactions_do_not_conflict(driver: Driver) -> None:
    async with driver() as store:
        begun = [store.transaction() for _ in range(20)]
        for transaction in begun:
            await transaction.get(b"something else")
            transaction.add(b"n", 1)
        for transaction in begun:
            await transaction.commit()
        assert await get(store, b"n") == number(20)


async def test_an_amount_out_of_range_is_refused(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        with pytest.raises(ValueError, match="64-bit"):
            transaction.add(b"n", 2**63)
        transaction.cancel()


# Versions.


async def test_commit_returns_a_version_only_for_writes(driver: Driver) -> None:
    async with driver() as store:
        transaction = store.transaction()
        await transaction.get(b"a")
        assert await transaction.commit() is None
        transaction = store.transaction()
        transaction.add_write_conflict_key(b"a")
        assert await transaction.commit() is None
        transaction = store.transaction()
        transaction.set(b"a", b"1")
        version = await transaction.commit()
        assert version is not None
        assert len(version) == 10


async def test_versionstamped_keys_are_unique_and_ascend(driver: Driver) -> None:
    async with driver() as store:
        for n in range(20):
            transaction = store.transaction()
            transaction.set_versionstamped_key(b"log/", b"/x", b"%d" % n)
            assert await pairs(transaction, b"log/", b"log0", limit=0) == [
                *sorted((await everything(store)).items())
            ]
            version = await transaction.commit()
            assert version is not None
            assert await get(store, b"log/" + version + b"/x") == b"%d" % n
        values = [value for _, value in sorted((await everything(store)).items())]
        assert values == [b"%d" % n for n in range(20)]
