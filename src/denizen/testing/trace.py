"""What happened in a world: the digest that must repeat itself, the counts, the last events for people."""

import hashlib
from collections import Counter, deque

from denizen.core import clock

RECENT_MAX = 400


class Trace:
    """Everything observable, in order, each with its virtual time.

    `counts` has how often each kind happened; kinds that begin with `fault.` are dangers.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._recent: deque[tuple[float, str, str, bytes]] = deque(maxlen=RECENT_MAX)
        self._hash = hashlib.sha256()

    def note(self, kind: str, what: str = "", payload: bytes = b"") -> None:
        """Something happened."""
        at = clock.monotonic()
        self.counts[kind] += 1
        self._recent.append((at, kind, what, payload))
        self._hash.update(f"{at!r} {kind} {what}\n".encode())
        self._hash.update(payload)

    def digest(self) -> str:
        """The same for the same seed, always."""
        return self._hash.hexdigest()

    def dangers(self) -> dict[str, int]:
        """How often each danger was attempted."""
        return {kind: count for kind, count in self.counts.items() if kind.startswith("fault.")}

    def tail(self, count: int) -> str:
        """The last events, a line each."""
        lines = [
            f"{at:10.6f} {kind:<16} {what} {payload[:120]!r}"
            if payload
            else f"{at:10.6f} {kind:<16} {what}"
            for at, kind, what, payload in list(self._recent)[-count:]
        ]
        return "\n".join(lines)
