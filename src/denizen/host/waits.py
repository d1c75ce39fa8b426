"""Who waits for whom: finds a call that would wait, through others, for itself. Pure.

An activity that was let in runs until it ends. Who made it waits for it; and whoever waits at its
actor's admission waits for it too, for nothing is let in there before those that run have ended. A
call that must wait at an actor closes a circle if one of the activities that run there already waits,
through any number of steps, for the activity that makes the call.
"""

from collections.abc import Iterable
from typing import Protocol

STEPS_MAX = 10_000


class Actor(Protocol):
    """An awake actor, as far as waiting goes."""

    def waiting(self) -> "Iterable[Waiter]":
        """The activities that wait to be let in."""
        ...


class Waiter(Protocol):
    """An activity, as far as waiting goes."""

    is_running: bool

    @property
    def made_by(self) -> "Waiter | None":
        """The activity that waits for its answer, if one does."""
        ...

    @property
    def doer(self) -> Actor | None: ...


def closes_a_circle(made_by: Waiter, target: Actor) -> bool:
    """Whether a call that `made_by` makes, and that must wait at `target`, would wait for itself.

    Gives up, with no, after 10,000 steps: the call's deadline ends what is not found.
    """
    seen = {id(made_by)}
    frontier = [made_by]
    for _ in range(STEPS_MAX):
        if not frontier:
            return False
        activity = frontier.pop()
        if activity.doer is target and activity.is_running:
            return True
        stuck = [activity.made_by]
        if activity.doer is not None:
            stuck += [waiter.made_by for waiter in activity.doer.waiting()]
        for waiter in stuck:
            if waiter is not None and id(waiter) not in seen:
                seen.add(id(waiter))
                frontier.append(waiter)
    return False
