"""The base class of an actor, and what a class declaration means.

    class Counter(Actor[CounterState]): ...

makes a type named `counter` whose state is a `CounterState`. All that an actor does goes through the
`Context` that its body supplies, so this file runs nothing and knows no host.
"""

import inspect
import re
import typing
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from denizen.core.errors import DenizenError
from denizen.sdk.actions import Action, find_actions
from denizen.sdk.connections import Connection, Connections
from denizen.sdk.state_types import StateType
from denizen.wire.calls import ActorCalls
from denizen.wire.runtime import Identity

S = TypeVar("S")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOOKS = ("on_before_connect", "on_connect", "on_disconnect", "on_destroy")


class Logger(Protocol):
    """What `self.log` can do: each line carries the actor's address and the given fields."""

    def debug(self, message: str, **fields: Any) -> None: ...

    def info(self, message: str, **fields: Any) -> None: ...

    def warning(self, message: str, **fields: Any) -> None: ...

    def error(self, message: str, **fields: Any) -> None: ...

    def exception(self, message: str, **fields: Any) -> None: ...


class Context(Protocol):
    """What stands behind an actor while it runs."""

    identity: Identity

    @property
    def connections(self) -> Connections: ...

    @property
    def log(self) -> Logger: ...

    @property
    def calls(self) -> ActorCalls: ...

    def state(self) -> Any: ...

    def replace_state(self, state: Any) -> None: ...

    def caller(self) -> Connection | None: ...

    def broadcast(self, event: str, args: tuple[Any, ...]) -> None: ...

    def spawn(
        self, coroutine: Coroutine[Any, Any, Any], *, supervised: bool, name: str | None
    ) -> None: ...

    async def durable(self) -> None: ...

    def destroy(self) -> None: ...


class ActorType:
    """What a class declaration said, checked once."""

    __slots__ = (
        "actions",
        "cls",
        "create_explicitly",
        "has_http",
        "has_start_hooks",
        "hooks",
        "name",
        "sees_changes",
        "state_type",
    )

    def __init__(self, cls: "type[Actor[Any]]", name: str, exclusive: bool, create: str) -> None:
        if not _NAME.fullmatch(name):
            raise TypeError(
                f"{cls.__name__}: {name!r} can't name an actor type: use 1 to 64 letters, digits, "
                "'_', '-' and '.', beginning with a letter or digit."
            )
        if create not in ("call", "explicit"):
            raise TypeError(f"{cls.__name__}: create is 'call' or 'explicit', not {create!r}.")
        self.cls = cls
        self.name = name
        self.create_explicitly = create == "explicit"
        self.actions: dict[str, Action] = find_actions(cls, exclusive)
        self.state_type = StateType.of(cls, _state_argument(cls))
        self.has_http = cls.asgi is not None
        self.hooks = frozenset(hook for hook in _HOOKS if _overrides(cls, hook))
        self.has_start_hooks = _overrides(cls, "on_create") or _overrides(cls, "on_start")
        self.sees_changes = _overrides(cls, "on_state_change")
        if inspect.iscoroutinefunction(cls.on_state_change):
            raise TypeError(
                f"{cls.__name__}.on_state_change runs within the turn that changed the state: make "
                "it a plain def."
            )


class Actor(Generic[S]):
    """A small stateful program with an address.

    Subclass it as `class Room(Actor[RoomState])`, or `class Room(Actor)` without state.
    In the class line: `type="..."` names the type (else the class's name in snake_case),
    `exclusive=True` makes every action exclusive unless it says otherwise, `create="explicit"`
    stops calls from creating it. Never call `__init__` or override it: use `on_create` and `on_start`.
    """

    __actor_type__: ClassVar[str]
    __denizen_type__: ClassVar[ActorType | None] = None
    asgi: ClassVar[Any] = None
    """An ASGI app served under the actor's URL at `/http/`. In it, `scope["actor"]` is the actor."""

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,
        exclusive: bool = False,
        create: str = "call",
        abstract: bool = False,
        **rest: Any,
    ) -> None:
        super().__init_subclass__(**rest)
        if abstract:
            cls.__denizen_type__ = None
            return
        declared = ActorType(cls, type or _snake_case(cls.__name__), exclusive, create)
        cls.__actor_type__ = declared.name
        cls.__denizen_type__ = declared

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def state(self) -> S:
        """The actor's durable state. Changing it is saving it: what a turn changed commits at its end."""
        return self._context.state()  # type: ignore[no-any-return]

    @state.setter
    def state(self, state: S) -> None:
        self._context.replace_state(state)

    @property
    def vars(self) -> SimpleNamespace:
        """Free attributes kept in memory only: gone after a sleep, a crash or a restart."""
        found: SimpleNamespace | None = self.__dict__.get("_vars")
        if found is None:
            found = self.__dict__["_vars"] = SimpleNamespace()
        return found

    @property
    def connections(self) -> Connections:
        """Who is connected now."""
        return self._context.connections

    @property
    def caller(self) -> Connection | None:
        """The connection on whose behalf this code runs; None for plain HTTP, other actors, own tasks."""
        return self._context.caller()

    @property
    def client(self) -> ActorCalls:
        """ActorCalls to other actors: `await self.client.get("counter", "a").increment(2)`.

        The call leaves once what this actor changed before is durable. It carries the deadline of
        the action that makes it; a wait on itself is refused with `call_cycle`.
        """
        return self._context.calls

    @property
    def log(self) -> Logger:
        """Structured lines with the actor's address in each."""
        return self._context.log

    @property
    def actor_id(self) -> str:
        return self._context.identity.actor_id

    @property
    def type(self) -> str:
        return self._context.identity.type

    @property
    def key(self) -> tuple[str, ...]:
        return self._context.identity.key

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._context.identity.tags)

    @property
    def namespace(self) -> str:
        return self._context.identity.namespace

    @property
    def region(self) -> str:
        return self._context.identity.region

    @property
    def generation(self) -> int:
        """Which start of this actor it is, counted from 1."""
        return self._context.identity.generation

    def broadcast(self, event: str, *args: Any) -> None:
        """Send an event to every connection that subscribed to it, once what changed before is durable."""
        self._context.broadcast(event, args)

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, Any],
        *,
        supervised: bool = True,
        name: str | None = None,
    ) -> None:
        """Run a coroutine beside the actions, for as long as the actor lives.

        What it changes is committed turn by turn. If it raises, the actor crashes, unless
        `supervised=False`: then the error is only logged.
        """
        self._context.spawn(coroutine, supervised=supervised, name=name)

    async def durable(self) -> None:
        """Return once all that this actor changed so far is durable: before using a socket of one's own."""
        await self._context.durable()

    def destroy(self) -> None:
        """End this actor for good: at the end of this turn its state goes and its address is free."""
        self._context.destroy()

    # Hooks: override those that are needed. Each may be `def` or `async def`, except `on_state_change`.

    async def on_create(self, input: Any) -> None:
        """Once in the actor's life, before anything else; what it changes commits with the creation."""

    async def on_start(self) -> None:
        """At every start, before any call."""

    def on_state_change(self) -> None:
        """At the end of each turn that changed the state, within that turn. A plain `def`."""

    async def on_before_connect(self, params: Any) -> Any:
        """Decide on a connection: what it returns is the connection's state; raising refuses it.

        A second parameter, if there is one, receives the name of the request's principal.
        """

    async def on_connect(self, connection: Connection) -> None:
        """A connection was let in. No frame of it is handled before this ends."""

    async def on_disconnect(self, connection: Connection) -> None:
        """A connection has ended, whoever ended it."""

    async def on_destroy(self) -> None:
        """The last code to run before the actor is destroyed."""


def type_of(cls: "type[Actor[Any]]") -> ActorType:
    """The declaration of a class. Raises `DenizenError` for an abstract one."""
    declared = cls.__denizen_type__
    if declared is None:
        raise DenizenError(f"{cls.__name__} is abstract: it declares no actor type.")
    return declared


def _overrides(cls: "type[Actor[Any]]", hook: str) -> bool:
    return getattr(cls, hook) is not getattr(Actor, hook)


def _state_argument(cls: "type[Actor[Any]]") -> Any:
    """The S of the nearest `Actor[S]` among the bases, or None."""
    for klass in cls.__mro__:
        for base in getattr(klass, "__orig_bases__", ()):
            origin = typing.get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Actor):
                (argument,) = typing.get_args(base)
                if not isinstance(argument, TypeVar):
                    return argument
    return None


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
