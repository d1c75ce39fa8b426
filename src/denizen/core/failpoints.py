"""Named places where a test may hurt the program.

A place costs one dictionary look-up while nothing is armed. What is armed is a plain function
that is called with the place's name: it may raise, count, or end the process.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_armed: dict[str, Callable[[str], None]] = {}


def hit(name: str) -> None:
    """Mark the place `name`: runs what a test has armed there, if anything."""
    if _armed and (action := _armed.get(name)) is not None:
        action(name)


@contextmanager
def armed(name: str, action: Callable[[str], None]) -> Iterator[None]:
    """Run `action(name)` each time the place `name` is passed, until the block ends."""
    _armed[name] = action
    try:
        yield
    finally:
        del _armed[name]
