"""What a store refuses before it does anything: keys, values and sizes over their bounds.

The same functions serve every driver, so that every driver refuses the same with the same words.
A size is what a write carries: its keys and values, and the keys of guards, clears and conflicts.
"""

from collections.abc import Sequence

from denizen.core.errors import KeyReserved, KeyTooLarge, TransactionTooLarge, ValueTooLarge
from denizen.core.limits import DEFAULT
from denizen.store.contract import Batch

KEYS_END = b"\xff"
"""The end of the keys that may be used; from here on they are the store's own."""

_KEY_BYTES_MAX = DEFAULT.store_key_bytes_max
_VALUE_BYTES_MAX = DEFAULT.store_value_bytes_max
_TRANSACTION_BYTES_MAX = DEFAULT.transaction_bytes_max


def check_key(key: bytes) -> None:
    """Raises `KeyTooLarge` or `KeyReserved`."""
    if len(key) > _KEY_BYTES_MAX:
        raise KeyTooLarge(
            f"A storage key has at most {_KEY_BYTES_MAX} bytes, this one {len(key)}: shorten it."
        )
    if key >= KEYS_END:
        raise KeyReserved("Storage keys that begin with FF are the store's own: use another.")


def check_range(begin: bytes, end: bytes) -> None:
    """Raises `KeyTooLarge` or `KeyReserved`; a range may end where the store's own keys begin."""
    check_key(begin)
    if end != KEYS_END:
        check_key(end)


def check_value(value: bytes) -> None:
    """Raises `ValueTooLarge`."""
    if len(value) > _VALUE_BYTES_MAX:
        raise ValueTooLarge(
            f"A stored value has at most {_VALUE_BYTES_MAX} bytes, this one {len(value)}: split it."
        )


def check_size(size_bytes: int) -> None:
    """Raises `TransactionTooLarge`."""
    if size_bytes > _TRANSACTION_BYTES_MAX:
        raise TransactionTooLarge(
            f"A transaction carries at most {_TRANSACTION_BYTES_MAX} bytes, this one {size_bytes}: "
            "do the work in several."
        )


def check_batches(batches: Sequence[Batch]) -> int:
    """The size in bytes of batches that may be applied together.

    Raises what the checks above raise, and `ValueError` for a marker that its batch doesn't set.
    """
    size_bytes = 0
    for batch in batches:
        # The hot loops of group commit: the checks are called only where they would refuse.
        for guard in batch.guards:
            key_bytes = len(guard.key)
            if key_bytes > _KEY_BYTES_MAX or guard.key >= KEYS_END:
                check_key(guard.key)
            size_bytes += key_bytes
        for key, value in batch.sets:
            key_bytes, value_bytes = len(key), len(value)
            if key_bytes > _KEY_BYTES_MAX or key >= KEYS_END:
                check_key(key)
            if value_bytes > _VALUE_BYTES_MAX:
                check_value(value)
            size_bytes += key_bytes + value_bytes
        for key in batch.clears:
            check_key(key)
            size_bytes += len(key)
        for begin, end in batch.clear_ranges:
            check_range(begin, end)
            size_bytes += len(begin) + len(end)
        if batch.marker is not None and batch.marker not in batch.sets:
            raise ValueError("A batch's marker must be one of the pairs that the batch sets.")
    check_size(size_bytes)
    return size_bytes
