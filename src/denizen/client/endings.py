"""How a socket ended, and what that means for the connection. Decisions only, no state.

Close codes are those of the protocol: 1008 refused, 1000 destroyed or goodbye, 1011 crashed,
1012 moving (reconnect at once), 1013 overloaded (reconnect later). Everything else is weather.
"""

from enum import Enum

import msgspec

from denizen.client.settings import Settings
from denizen.core.errors import ActorDestroyed, DenizenError, Forbidden, NotConnected

ABNORMAL = 1006
_GOODBYE = 1000
_REFUSED = 1008
_MOVING = 1012
_OVERLOADED = 1013
_OVERLOADED_PAUSE_S = 1.0


class Ending(msgspec.Struct, frozen=True):
    """The end of a socket, or of an attempt to open one.

    `code` is the close code, 1006 where there was none. `refusal` is set when the server answered
    the upgrade itself with an error that asking again won't mend.
    """

    code: int = ABNORMAL
    reason: str = ""
    refusal: DenizenError | None = None

    @property
    def text(self) -> str:
        """Why there is no connection, as part of a sentence."""
        if self.refusal is not None:
            return self.refusal.message.rstrip(".")
        if self.code == ABNORMAL:
            return self.reason or "the connection broke"
        said = f": {self.reason}" if self.reason else ""
        return f"the server closed the connection with {self.code}{said}"

    def error(self) -> DenizenError:
        """What a call gets that this ending settles, where the server gave no error of its own."""
        if self.refusal is not None:
            return self.refusal
        if self.code == _REFUSED:
            return Forbidden(self.reason or "The server refused the connection.")
        if self.code == _GOODBYE and self.reason in ("", ActorDestroyed.code):
            return ActorDestroyed("The actor was destroyed.")
        return NotConnected(f"The actor ended the connection: {self.reason or self.code}.")


class Fate(Enum):
    """What becomes of a connection whose socket has ended."""

    RETRY = "retry"
    """It is tried again while it is wanted."""
    REFUSED = "refused"
    """The server won't have it: nothing was run on it, and asking again at once is pointless."""
    DESTROYED = "destroyed"
    """There is no such actor any more."""
    LEFT = "left"
    """The actor said goodbye: what was under way may have run."""


def decide_fate(ending: Ending, failure: DenizenError | None) -> Fate:
    """What an ending means. `failure` is the error that the server sent just before it."""
    if ending.refusal is not None or ending.code == _REFUSED:
        return Fate.REFUSED
    if ending.code != _GOODBYE:
        return Fate.RETRY
    error = failure or ending.error()
    return Fate.DESTROYED if isinstance(error, ActorDestroyed) else Fate.LEFT


def decide_retry(settings: Settings, ending: Ending, failures: int) -> tuple[float, float]:
    """The bounds of the pause before the next attempt: exponential, full jitter, capped."""
    if ending.code == _MOVING and failures == 0:
        return 0.0, 0.0
    at_most_s = min(settings.retry_max_s, settings.retry_first_s * 2.0 ** min(failures, 32))
    if ending.code == _OVERLOADED:
        return min(_OVERLOADED_PAUSE_S, settings.retry_max_s), _OVERLOADED_PAUSE_S + at_most_s
    return 0.0, at_most_s
