"""Guarded batches: the outcomes, their order, and what they leave, on every driver."""

import asyncio

from denizen.store import Batch, Guard, Outcome
from tests.store.drivers import Driver, everything, get, on_every_driver, put

pytestmark = on_every_driver

APPLIED, ALREADY, REFUSED = Outcome.APPLIED, Outcome.ALREADY, Outcome.REFUSED


async def test_nothing_to_apply_has_no_outcome(driver: Driver) -> None:
    async with driver() as store:
        assert await store.apply([]) == []
        assert await store.apply([Batch(())]) == [APPLIED]


async def test_a_batch_whose_guards_hold_is_applied(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"head", b"1"))
        batch = Batch((Guard(b"head", b"1"), Guard(b"new", None)), ((b"head", b"2"), (b"new", b"")))
        assert await store.apply([batch]) == [APPLIED]
        assert await everything(store) == {b"head": b"2", b"new": b""}


async def test_one_wrong_guard_refuses_all_of_a_batch(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"a", b"1"), (b"b", b""))
        for wrong in (Guard(b"a", b"2"), Guard(b"a", None), Guard(b"b", None), Guard(b"c", b"")):
            batch = Batch((Guard(b"a", b"1"), wrong), ((b"c", b"x"),), (b"a",), ((b"", b"z"),))
            assert await store.apply([batch]) == [REFUSED]
        assert await everything(store) == {b"a": b"1", b"b": b""}


async def test_within_a_batch_ranges_come_first_then_clears_then_sets(driver: Driver) -> None:
    async with driver() as store:
        await put(store, *((bytes([byte]), b"old") for byte in b"abcdef"))
        batch = Batch(
            (),
            sets=((b"b", b"new"), (b"d", b"new")),
            clears=(b"d", b"e"),
            clear_ranges=((b"a", b"c"),),
        )
        assert await store.apply([batch]) == [APPLIED]
        assert await everything(store) == {
            b"b": b"new",
            b"c": b"old",
            b"d": b"new",
            b"f": b"old",
        }


async def test_batches_are_judged_in_order_each_seeing_those_before(driver: Driver) -> None:
    async with driver() as store:
        outcomes = await store.apply(
            [
                Batch((Guard(b"h", None),), ((b"h", b"1"),)),
                Batch((Guard(b"h", None),), ((b"h", b"x"), (b"lost", b""))),
                Batch((Guard(b"h", b"1"),), ((b"h", b"2"),)),
                Batch((Guard(b"h", b"2"),), clears=(b"h",)),
                Batch((Guard(b"h", None),), ((b"h", b"3"), (b"r", b"3"))),
                Batch((), clear_ranges=((b"r", b"s"),)),
                Batch((Guard(b"r", None),), ((b"r", b"4"),)),
                Batch((Guard(b"r", None),), ((b"h", b"y"),)),
            ]
        )
        assert outcomes == [APPLIED, REFUSED, *[APPLIED] * 5, REFUSED]
        assert await everything(store) == {b"h": b"3", b"r": b"4"}


async def test_a_replay_is_told_by_its_marker_and_changes_nothing(driver: Driver) -> None:
    async with driver() as store:
        await put(store, (b"head", b"1"))
        batch = Batch(
            (Guard(b"head", b"1"),), ((b"head", b"2"), (b"row", b"x")), marker=(b"head", b"2")
        )
        assert await store.apply([batch, batch]) == [APPLIED, ALREADY]
        assert await store.apply([batch]) == [ALREADY]
        await put(store, (b"row", b"changed since"))
        assert await store.apply([batch]) == [ALREADY]
        assert await get(store, b"row") == b"changed since"
        await put(store, (b"head", b"3"))
        assert await store.apply([batch]) == [REFUSED]


async def test_a_marker_counts_only_where_a_guard_fails(driver: Driver) -> None:
    async with driver() as store:
        batch = Batch((), ((b"m", b"1"), (b"n", b"2")), marker=(b"m", b"1"))
        assert await store.apply([batch]) == [APPLIED]
        await put(store, (b"n", b"other"))
        assert await store.apply([batch]) == [APPLIED]
        assert await get(store, b"n") == b"2"


async def test_large_values_can_be_guarded(driver: Driver) -> None:
    async with driver() as store:
        large, other = b"x" * 50_000, b"y" * 50_000
        assert await store.apply([Batch((Guard(b"a", None),), ((b"a", large),))]) == [APPLIED]
        assert await store.apply([Batch((Guard(b"a", other),), ((b"a", b""),))]) == [REFUSED]
        assert await store.apply([Batch((Guard(b"a", large),), ((b"a", other),))]) == [APPLIED]
        assert await store.apply([Batch((Guard(b"a", other),), ((b"a", b"1"),))]) == [APPLIED]


async def test_thousands_of_rows_in_one_call(driver: Driver) -> None:
    async with driver() as store:
        batches = [
            Batch((Guard(b"h%d" % n, None),), ((b"h%d" % n, b"1"), (b"r%d" % n, b"%d" % n)))
            for n in range(3_000)
        ]
        assert await store.apply(batches) == [APPLIED] * 3_000
        assert await store.apply(batches) == [REFUSED] * 3_000
        found = await everything(store)
        assert len(found) == 6_000
        cleared = Batch((), clears=tuple(b"r%d" % n for n in range(2_500)))
        assert await store.apply([cleared]) == [APPLIED]
        assert len(await everything(store)) == 3_500


async def test_concurrent_calls_with_one_guard_let_one_through(driver: Driver) -> None:
    async with driver() as store:
        for turn in range(20):
            guard = Guard(b"head", b"%d" % turn if turn else None)
            outcomes = await asyncio.gather(
                *(
                    store.apply([Batch((guard,), ((b"head", b"%d" % (turn + 1)),))])
                    for _ in range(8)
                )
            )
            assert sorted(outcome.name for (outcome,) in outcomes) == ["APPLIED", *["REFUSED"] * 7]


async def test_guards_see_what_ranges_cleared(driver: Driver) -> None:
    async with driver() as store:
        held = Guard(b"b", b"1")
        for _ in range(3):
            first = Batch((Guard(b"b", None),), ((b"b", b"1"), (b"c", b"2")))
            assert await store.apply([first]) == [APPLIED]
            assert await store.apply([Batch((held,)), Batch((Guard(b"b", None),))]) == [
                APPLIED,
                REFUSED,
            ]
            again = Batch((), ((b"b", b"3"),))
            cleared = Batch((), clear_ranges=((b"a", b"c"),))
            assert await store.apply([again, cleared, Batch((held,))]) == [
                APPLIED,
                APPLIED,
                REFUSED,
            ]
        assert await everything(store) == {b"c": b"2"}


async def test_guards_see_what_transactions_wrote(driver: Driver) -> None:
    async with driver() as store:
        assert await store.apply([Batch((Guard(b"a", None),), ((b"b", b"1"),))]) == [APPLIED]
        await put(store, (b"a", b"1"))
        assert await store.apply([Batch((Guard(b"a", None),))]) == [REFUSED]
        transaction = store.transaction()
        transaction.clear_range(b"a", b"b")
        await transaction.commit()
        assert await store.apply([Batch((Guard(b"a", None),), ((b"a", b"2"),))]) == [APPLIED]
