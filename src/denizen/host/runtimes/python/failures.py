"""What an exception of an actor's code becomes for its caller.

Only a `DenizenError` travels as it is (an author's `UserError` is one). Of anything else the caller
learns a reference; the actor's log has the exception under it.
"""

import asyncio
import contextlib
from typing import Any

from denizen.core import entropy
from denizen.core.errors import (
    ActorStopped,
    DenizenError,
    InternalError,
    ResultUnsendable,
    StateUnstorable,
    code_of,
)
from denizen.host.runtimes.python.turns import ActivityAbandoned
from denizen.sdk.actor import Logger
from denizen.wire import values
from denizen.wire.runtime import Failure


def failure_of(error: BaseException, log: Logger, doing: str) -> Failure:
    """The failure that a caller may see; logs what it may not."""
    if isinstance(error, asyncio.CancelledError | ActivityAbandoned):
        return told(ActorStopped("The actor stopped before the call could end."))
    if isinstance(error, StateUnstorable):
        log.error("a state value can't be stored", doing=doing, path=error.metadata)
        return told(StateUnstorable(error.message))
    if isinstance(error, values.Unencodable):
        log.error("a value can't be sent", doing=doing, path=error.path, reason=error.reason)
        return told(ResultUnsendable("A value of the action can't be sent; its log says why."))
    if isinstance(error, DenizenError) and not isinstance(error, InternalError):
        return told(error)
    reference = entropy.token_hex(6)
    try:
        raise error
    except BaseException:
        log.exception("an exception in the actor's code", doing=doing, reference=reference)
    return told(InternalError(reference))


def told(error: DenizenError) -> Failure:
    """An error as it travels. Metadata that can't be sent is left out."""
    metadata: Any = None
    if error.metadata is not None:
        with contextlib.suppress(values.Unencodable):
            metadata = values.plain(error.metadata)
    return Failure(code_of(error), error.message, metadata)
