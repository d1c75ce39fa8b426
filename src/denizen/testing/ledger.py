"""The clients' ledger: what was asked, when, and what was said to have come of it. The judge reads it.

Instants are counted, not measured: two things at the same virtual time still have an order.
"""

import itertools
from typing import Any

import msgspec

from denizen.core.errors import (
    DenizenError,
    NotConnected,
    NotHere,
    StoreUnavailable,
    UserError,
    code_of,
)

NOT_DONE = (NotConnected, NotHere, StoreUnavailable, UserError)
"""Errors that promise: of a call which is one turn, nothing was changed."""


class Entry(msgspec.Struct, eq=False):
    """One call. `outcome`: open, ok, failed (it changed nothing), or unknown.

    `also` is the other actor that it changes, `amount` what it moves, or how often it adds later.
    """

    client: str
    actor: str
    action: str
    op: str
    also: str
    amount: int
    sent: int
    ended: int = 0
    outcome: str = "open"
    code: str = ""
    value: Any = None


class Ledger:
    """All calls of one world."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._instants = itertools.count(1)

    def begin(
        self, client: str, actor: str, action: str, op: str, also: str = "", amount: int = 0
    ) -> Entry:
        """A call is about to be sent."""
        entry = Entry(client, actor, action, op, also, amount, next(self._instants))
        self.entries.append(entry)
        return entry

    def succeeded(self, entry: Entry, value: Any) -> None:
        """It was acknowledged."""
        entry.ended, entry.outcome, entry.value = next(self._instants), "ok", value

    def failed(self, entry: Entry, error: BaseException) -> None:
        """It ended with an error, or was given up."""
        entry.ended = next(self._instants)
        # What another actor said of its part says nothing of this one's.
        is_void = isinstance(error, NotConnected if entry.also else NOT_DONE)
        entry.outcome = "failed" if is_void else "unknown"
        entry.code = code_of(error) if isinstance(error, DenizenError) else type(error).__name__

    def of(self, actor: str) -> list[Entry]:
        """The calls of one actor, in the order in which they were sent."""
        return [entry for entry in self.entries if entry.actor == actor]
