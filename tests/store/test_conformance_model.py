"""Random sequences of operations against a model map, on every driver."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.store import Batch, Guard, Outcome, Store, Transaction
from denizen.store.buffer import add_to
from tests.store.drivers import Driver, everything, on_every_driver, pairs

Model = dict[bytes, bytes]

KEYS = st.sampled_from([b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"b\xff", b"c", b"\xfe"])
BOUNDS = st.one_of(KEYS, st.just(b"\xff"))
VALUES = st.sampled_from([b"", b"1", b"2", bytes(8), b"\xff" * 8, b"v" * 2_000])

WRITES = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES),
    st.tuples(st.just("clear"), KEYS),
    st.tuples(st.just("clear_range"), KEYS, BOUNDS),
    st.tuples(st.just("add"), KEYS, st.integers(-(2**63), 2**63 - 1)),
)
READS = st.one_of(
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("range"), KEYS, BOUNDS, st.integers(0, 4), st.booleans()),
)
TRANSACTIONS = st.tuples(
    st.just("transaction"), st.lists(st.one_of(WRITES, READS), max_size=8), st.booleans()
)
GUARDS = st.tuples(KEYS, st.one_of(st.none(), VALUES))
BATCHES = st.builds(
    Batch,
    st.lists(st.builds(Guard, KEYS, st.one_of(st.none(), VALUES)), max_size=2).map(tuple),
    st.lists(st.tuples(KEYS, VALUES), max_size=4).map(tuple),
    st.lists(KEYS, max_size=2).map(tuple),
    st.lists(st.tuples(KEYS, BOUNDS), max_size=1).map(tuple),
)
STEPS = st.one_of(
    TRANSACTIONS, st.tuples(st.just("apply"), st.lists(BATCHES, min_size=1, max_size=4))
)


@on_every_driver
@settings(max_examples=80)
@given(steps=st.lists(STEPS, max_size=8))
async def test_random_operations_do_what_the_model_does(driver: Driver, steps: list[Any]) -> None:
    model: Model = {}
    async with driver() as store:
        for step in steps:
            if step[0] == "apply":
                assert await store.apply(step[1]) == [apply(model, batch) for batch in step[1]]
            else:
                await run_transaction(store, model, step[1], is_committed=step[2])
            assert await everything(store) == model
            assert list(await everything(store)) == sorted(model)


async def run_transaction(
    store: Store, model: Model, operations: list[Any], *, is_committed: bool
) -> None:
    transaction = store.transaction()
    seen = dict(model)
    for operation in operations:
        await do(transaction, seen, *operation)
    if is_committed:
        await transaction.commit()
        model.clear()
        model.update(seen)
    else:
        transaction.cancel()


async def do(transaction: Transaction, seen: Model, kind: str, key: bytes, *rest: Any) -> None:
    match kind, *rest:
        case "get", *_:
            assert await transaction.get(key) == seen.get(key)
        case "range", end, limit, reverse:
            expected = sorted(between(seen, key, end), reverse=reverse)
            found = await pairs(transaction, key, end, limit=limit, reverse=reverse)
            assert found == (expected[:limit] if limit else expected)
        case "set", value:
            transaction.set(key, value)
            seen[key] = value
        case "clear", *_:
            transaction.clear(key)
            seen.pop(key, None)
        case "clear_range", end:
            transaction.clear_range(key, end)
            clear_between(seen, key, end)
        case "add", amount:
            transaction.add(key, amount)
            seen[key] = add_to(seen.get(key), amount)


def apply(model: Model, batch: Batch) -> Outcome:
    if any(model.get(guard.key) != guard.expected for guard in batch.guards):
        return Outcome.REFUSED
    for begin, end in batch.clear_ranges:
        clear_between(model, begin, end)
    for key in batch.clears:
        model.pop(key, None)
    model.update(batch.sets)
    return Outcome.APPLIED


def between(model: Model, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
    return [pair for pair in model.items() if begin <= pair[0] < end]


def clear_between(model: Model, begin: bytes, end: bytes) -> None:
    for key, _ in between(model, begin, end):
        del model[key]
