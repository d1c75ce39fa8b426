"""Histories of concurrent transactions that only a serializable store keeps whole.

Both count how often transactions conflicted: a run in which the danger never came proves nothing.
"""

import asyncio
import itertools
import random

import pytest

from denizen.core.errors import StoreConflict
from denizen.store import Store, Transaction
from tests.store.drivers import Driver, everything, on_every_driver, pairs, put

pytestmark = on_every_driver

NODES = 12
SWAPS = 25
WRITERS = 8


async def test_a_ring_stays_one_ring(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    """Each node names the next; a swap of two neighbours reads three nodes and writes them."""
    async with driver() as store:
        await put(store, *((b"%02d" % n, b"%02d" % ((n + 1) % NODES)) for n in range(NODES)))
        conflicts = Counter()
        sources = [random.Random(n) for n in range(WRITERS)]
        await asyncio.gather(*(swap_often(store, source, conflicts) for source in sources))
        ring = await everything(store)
        assert await go_round(ring) == set(ring)
        tell(
            capsys,
            f"ring: {WRITERS * SWAPS} swaps, {conflicts.count} conflicts, one ring of {NODES}",
        )
        assert conflicts.count > 0


async def test_a_ring_is_whole_in_every_snapshot(driver: Driver) -> None:
    async with driver() as store:
        await put(store, *((b"%02d" % n, b"%02d" % ((n + 1) % NODES)) for n in range(NODES)))
        writing = asyncio.gather(
            *(swap_often(store, random.Random(n), Counter()) for n in range(WRITERS))
        )
        looked = 0
        while not writing.done():
            transaction = store.transaction()
            first = dict(await pairs(transaction, b"", b"06"))
            await asyncio.sleep(0.001)
            rest = {
                key: await transaction.get(key) for key in (b"%02d" % n for n in range(6, NODES))
            }
            transaction.cancel()
            ring = {**first, **rest}
            assert await go_round(ring) == set(ring)  # type: ignore[arg-type]
            looked += 1
        await writing
        assert looked > 5


async def test_list_appends_have_one_order(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each transaction reads two lists and appends its number to one of them.

    What each read must be a prefix of the final lists, and all reads together must fit one order.
    """
    async with driver() as store:
        conflicts = Counter()
        history: list[tuple[bytes, bytes, dict[bytes, list[bytes]]]] = []

        async def writer(number: int) -> None:
            source = random.Random(number)
            for turn in range(SWAPS):
                mine = b"%d.%d" % (number, turn)
                read = [b"x", b"y", b"z"]
                source.shuffle(read)
                history.append((mine, *await append_once(store, mine, read[:2], conflicts)))

        await asyncio.gather(*(writer(number) for number in range(WRITERS)))
        final = {key: value.split() for key, value in (await everything(store)).items()}
        appended = sorted(item for items in final.values() for item in items)
        assert appended == sorted(mine for mine, _, _ in history)
        assert_serializable(final, history)
        tell(
            capsys,
            f"list-append: {len(history)} transactions, {conflicts.count} conflicts, "
            "one order fits all reads",
        )
        assert conflicts.count > 0


class Counter:
    def __init__(self) -> None:
        self.count = 0


async def swap_often(store: Store, source: random.Random, conflicts: Counter) -> None:
    for _ in range(SWAPS):
        await transact_counting(store, lambda tx: swap(tx, source), conflicts)


async def swap(transaction: Transaction, source: random.Random) -> None:
    """a → b → c → d becomes a → c → b → d."""
    a = b"%02d" % source.randrange(NODES)
    b = await transaction.get(a)
    await asyncio.sleep(0)
    assert b is not None
    c = await transaction.get(b)
    assert c is not None
    d = await transaction.get(c)
    assert d is not None
    transaction.set(a, c)
    transaction.set(c, b)
    transaction.set(b, d)


async def append_once(
    store: Store, mine: bytes, keys: list[bytes], conflicts: Counter
) -> tuple[bytes, dict[bytes, list[bytes]]]:
    """The key appended to, and what was read of both."""

    async def append(transaction: Transaction) -> tuple[bytes, dict[bytes, list[bytes]]]:
        read = {}
        for key in keys:
            read[key] = (await transaction.get(key) or b"").split()
            await asyncio.sleep(0)
        transaction.set(keys[0], b" ".join([*read[keys[0]], mine]))
        return keys[0], read

    return await transact_counting(store, append, conflicts)


async def transact_counting(store: Store, fn, conflicts: Counter):  # type: ignore[no-untyped-def]
    """`transact` by hand, so that conflicts are counted."""
    while True:
        transaction = store.transaction()
        result = await fn(transaction)
        try:
            await transaction.commit()
        except StoreConflict:
            conflicts.count += 1
            await asyncio.sleep(0)
        else:
            return result


async def go_round(ring: dict[bytes, bytes]) -> set[bytes]:
    seen: set[bytes] = set()
    node = min(ring)
    while node not in seen:
        seen.add(node)
        node = ring[node]
    return seen


def assert_serializable(
    final: dict[bytes, list[bytes]],
    history: list[tuple[bytes, bytes, dict[bytes, list[bytes]]]],
) -> None:
    """Order transactions by what they wrote and read; a cycle means that no order fits."""
    after: dict[bytes, set[bytes]] = {mine: set() for mine, _, _ in history}
    for mine, _, read in history:
        for key, items in read.items():
            order = final.get(key, [])
            assert order[: len(items)] == items, f"{mine!r} read what never was"
            if items:
                after[items[-1]].add(mine)
            if len(order) > len(items) and order[len(items)] != mine:
                after[mine].add(order[len(items)])
    for order in final.values():
        for first, second in itertools.pairwise(order):
            after[first].add(second)
    assert_acyclic(after)


def assert_acyclic(after: dict[bytes, set[bytes]]) -> None:
    waiting_for = dict.fromkeys(after, 0)
    for followers in after.values():
        for follower in followers:
            waiting_for[follower] += 1
    ready = [node for node, count in waiting_for.items() if count == 0]
    ordered = 0
    while ready:
        ordered += 1
        for follower in after[ready.pop()]:
            waiting_for[follower] -= 1
            if waiting_for[follower] == 0:
                ready.append(follower)
    assert ordered == len(after), "the transactions depend on one another in a circle"


def tell(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n  {line}", end="")
