"""One write for all that a loop turn has to say to one peer.

Sending costs a system call, and a call's reply rarely comes alone: events, pipelined replies and
whole groups of commits are answered in one turn. Whoever has something to send marks itself here
once; at the turn's end everything that is marked flushes.
"""

import asyncio
from typing import Protocol

from denizen.telemetry import logs

_log = logs.get("gateway")


class Corked(Protocol):
    """Something that holds back what it has to send."""

    def flush(self) -> None:
        """Send what is held back, as far as the far end takes it."""
        ...


class Cork:
    """Those who have something to send in this turn of the loop."""

    __slots__ = ("_marked",)

    def __init__(self) -> None:
        self._marked: list[Corked] = []

    def mark(self, corked: Corked) -> None:
        """Flush `corked` when this turn ends. To be called once a turn for each."""
        if not self._marked:
            asyncio.get_running_loop().call_soon(self._flush)
        self._marked.append(corked)

    def _flush(self) -> None:
        marked, self._marked = self._marked, []
        for corked in marked:
            try:
                corked.flush()
            except Exception:
                _log.exception("what was waiting for a peer couldn't be sent")
