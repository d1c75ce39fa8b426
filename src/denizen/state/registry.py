"""Which actors there are: found by address, by id or by tags, and made by tags."""

from collections.abc import Mapping

from denizen.core import clock, entropy
from denizen.core.address import Address
from denizen.core.errors import ActorDestroyed, StoreFormatUnknown
from denizen.core.keys import unpack
from denizen.state import layout
from denizen.state.batches import decode_head, decode_record, encode_head, encode_record
from denizen.store.contract import Store, Transaction
from denizen.wire.commits import Head, Record, Snapshot


class Registry:
    """Reads of actors, and creation by tags. Each is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, address: Address) -> Snapshot | None:
        """All that is stored of the actor at an address; None if there is none.

        Raises `ActorDestroyed` for the id of one that was.
        """
        transaction = self._store.transaction()
        try:
            actor_id = address.actor_id
            if actor_id is None:
                key = layout.address_key(address.namespace, address.type, address.key)
                found = await transaction.get(key, snapshot=True)
                if found is None:
                    return None
                actor_id = found.decode()
            return await _read(transaction, address.namespace, actor_id)
        finally:
            transaction.cancel()

    async def find_by_tags(
        self,
        namespace: str,
        tags: Mapping[str, str] | None,
        create_tags: Mapping[str, str] | None,
        region: str,
    ) -> Record | None:
        """The oldest actor that has all of `tags`, or a new one with `create_tags`, atomically."""
        # The id is drawn here: a transaction that is run again makes the same actor.
        actor_id = entropy.new_id()
        created_at = clock.now()

        async def run(transaction: Transaction) -> Record | None:
            if tags is not None:
                found = await _oldest_with(transaction, namespace, tags)
                if found is not None:
                    return found
            if create_tags is None:
                return None
            record = Record(
                actor_id,
                namespace,
                create_tags["name"],
                (),
                dict(create_tags),
                region,
                created_at,
                has_address=False,
            )
            _write_new(transaction, record)
            return record

        return await self._store.transact(run)


async def _oldest_with(
    transaction: Transaction, namespace: str, tags: Mapping[str, str]
) -> Record | None:
    # Any tag finds all candidates; one that isn't the type's name is likely to find fewest.
    lead = next((key for key in tags if key != "name"), "name")
    begin, end = layout.tag_range(namespace, lead, tags[lead])
    async for key, _ in transaction.get_range(begin, end):
        actor_id = unpack(key)[-1]
        prefix = layout.actor_prefix(namespace, actor_id)
        data = await transaction.get(layout.record_key(prefix))
        if data is None:
            continue
        record = decode_record(data)
        if all(record.tags.get(name) == value for name, value in tags.items()):
            return record
    return None


def _write_new(transaction: Transaction, record: Record) -> None:
    """An actor that never started: generation 0."""
    prefix = layout.actor_prefix(record.namespace, record.actor_id)
    transaction.set(layout.head_key(prefix), encode_head(Head(0, 0)))
    transaction.set(layout.record_key(prefix), encode_record(record))
    for name, value in record.tags.items():
        transaction.set(layout.tag_key(record.namespace, name, value, record.actor_id), b"")


async def _read(transaction: Transaction, namespace: str, actor_id: str) -> Snapshot | None:
    prefix = layout.actor_prefix(namespace, actor_id)
    head: Head | None = None
    record: Record | None = None
    state: dict[str, bytes] = {}
    large: dict[str, list[bytes]] = {}
    begin, end = layout.actor_range(namespace, actor_id)
    async for key, value in transaction.get_range(begin, end, snapshot=True):
        match layout.owned_part(prefix, key):
            case ("state", str(field)):
                state[field] = value
            case ("large", str(field), int()):
                large.setdefault(field, []).append(value)
            case ("head",):
                head = decode_head(value)
            case ("record",):
                record = decode_record(value)
    if head is None:
        return None
    if head.is_destroyed:
        raise ActorDestroyed(f"The actor {actor_id} was destroyed.")
    if record is None:
        raise StoreFormatUnknown(
            f"The actor {actor_id} has a head but no record: the data is damaged."
        )
    for field, chunks in large.items():
        state[field] = b"".join(chunks)
    return Snapshot(record, head, state)
