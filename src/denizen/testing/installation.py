"""What a world takes over in its process while it runs: time, chance, failpoints, the log, garbage."""

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from denizen.core import clock, entropy, failpoints
from denizen.testing.monitors import Monitors

_PLACES = ("committer.before_flush", "committer.after_flush")
_EXPECTED_ERRORS = (
    ("a group could not be committed", "commit_outcome_unknown"),
    ("a group could not be committed", "store_unavailable"),
)
"""Lines of the log that faults explain: message and code."""


@contextmanager
def installed(
    time: clock.Source,
    chance: entropy.Source,
    monitors: Monitors,
    at_commit: Callable[[str], None],
) -> Iterator[None]:
    """Let all of it be the world's until the block ends."""
    with ExitStack() as stack:
        stack.enter_context(clock.use(time))
        stack.enter_context(entropy.use(chance))
        for place in _PLACES:
            stack.enter_context(failpoints.armed(place, at_commit))
        stack.enter_context(_log_read_by(_ErrorLines(monitors)))
        stack.enter_context(_no_garbage_collected())
        yield


class _ErrorLines(logging.Handler):
    """An error in the log that no fault explains is a violation."""

    def __init__(self, monitors: Monitors) -> None:
        super().__init__(logging.ERROR)
        self._monitors = monitors

    def emit(self, record: logging.LogRecord) -> None:
        message, fields = record.getMessage(), getattr(record, "fields", {})
        if (message, fields.get("code")) not in _EXPECTED_ERRORS:
            error = record.exc_info[1] if record.exc_info else fields
            self._monitors.report(f"{message}: {error!r}")


@contextmanager
def _log_read_by(handler: logging.Handler) -> Iterator[None]:
    log = logging.getLogger("denizen")
    before, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Nothing is finalized at a moment that the seed doesn't know (`loop`, L3).

    Afterwards what dead processes left is dropped in silence, whatever it still had to say.
    """
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
        gc.unfreeze()
        if was_on:
            gc.enable()
