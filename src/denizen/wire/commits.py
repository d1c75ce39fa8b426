"""What an actor's host hands over to be made durable: its commits, and what it reads at the start.

Every actor has one *head*. A commit names the head that it follows and writes the next; a store
refuses any other. That one row is the fence against a stale generation, the order of commits and the
idempotency marker, on every store and whatever clocks do.
"""

import msgspec


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The head row. Equal heads have equal bytes.

    `generation` counts starts, `number` commits; `large` names the fields that are stored in chunks.
    """

    generation: int
    number: int
    state_bytes: int = 0
    is_destroyed: bool = False
    large: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an actor from its creation on, and never changes."""

    actor_id: str
    namespace: str
    type: str
    key: tuple[str, ...]
    tags: dict[str, str]
    region: str
    created_at: float
    input: bytes | None = None
    has_address: bool = True
    """False for an actor made by tags: it is reached by its id only."""


class Commit(msgspec.Struct, frozen=True):
    """One commit of an actor.

    `follows` None: nothing of it is stored yet. `creates` holds the record of an actor that this
    commit brings into being, `destroys` of one that it ends. A change to None removes the field.
    """

    namespace: str
    actor_id: str
    follows: Head | None
    head: Head
    changes: dict[str, bytes | None]
    creates: Record | None = None
    destroys: Record | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """All that a host needs to start an actor."""

    record: Record
    head: Head
    state: dict[str, bytes]


LARGE_BYTES_MIN = 90_000
"""From this size on a field is stored in chunks: below a store's 100,000 B for a value."""


def next_head(
    follows: Head | None,
    generation: int,
    changes: dict[str, bytes | None],
    state_bytes: int | None,
    *,
    is_destroyed: bool = False,
) -> Head:
    """The head that a commit with these changes writes."""
    before = _NO_HEAD if follows is None else follows
    large = before.large
    for name, data in changes.items():
        is_large = data is not None and len(data) >= LARGE_BYTES_MIN
        if is_large != (name in large):
            large = tuple(sorted({*large, name})) if is_large else _without(large, name)
    size = before.state_bytes if state_bytes is None else state_bytes
    return Head(generation, before.number + 1, size, is_destroyed, large)


_NO_HEAD = Head(0, 0)


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
