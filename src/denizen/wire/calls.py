"""Proxies whose attributes are actions, shared by client and SDK; a `CallTransport` is supplied.

How a call travels is the transport's business. What stands here is what a call looks like to the
one who writes it: names, arguments, typed results. Nothing here is sent, queued or awaited twice.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Protocol, TypeVar, overload

import msgspec

from denizen.core.address import DEFAULT_NAMESPACE, Address, check_key
from denizen.core.errors import InvalidArguments, InvalidKey, InvalidResult
from denizen.wire.values import Unencodable, plain

_ACTION_MARK = "__denizen_action__"
_ACTOR_ID_DIGITS = 32


class CallTransport(Protocol):
    """The way to one actor."""

    async def call(self, action: str, args: list[Any], timeout_s: float | None) -> Any:
        """Run an action with plain arguments and return its plain result.

        `timeout_s` None leaves the time to the transport. Raises `DenizenError`.
        """
        ...


class ActorClass(Protocol):
    """What makes a class an actor type: its name. Its methods marked as actions are its actions."""

    __actor_type__: ClassVar[str]


A = TypeVar("A", bound=ActorClass)


class ActionHints:
    """What an actor class says about its actions: how arguments bind, what a result is."""

    def __init__(self, actor_class: type) -> None:
        self._class = actor_class
        self._results: dict[str, Any] = {}

    def has(self, action: str) -> bool:
        return hasattr(getattr(self._class, action, None), _ACTION_MARK)

    def bind(self, action: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position. Raises `TypeError` as a plain call of the method would."""
        bound = inspect.signature(getattr(self._class, action)).bind(None, *args, **named)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"{action}: {', '.join(bound.kwargs)} can't be sent by position.")
        return bound.args[1:]

    def convert(self, action: str, output: Any) -> Any:
        """The result as the method's return hint has it. Raises `InvalidResult`."""
        hint = self._results.get(action, _UNREAD)
        if hint is _UNREAD:
            hint = self._results[action] = self._read_hint(action)
        if hint is Any:
            return output
        try:
            return msgspec.convert(output, hint, str_keys=True)
        except msgspec.ValidationError as error:
            raise InvalidResult(
                f"The result of {action} doesn't fit its return hint ({error}): do the actor that "
                "runs and the class in this program have the same version?"
            ) from None

    def _read_hint(self, action: str) -> Any:
        if not self.has(action):
            return Any
        hints = typing.get_type_hints(getattr(self._class, action), include_extras=True)
        return hints.get("return", Any)


_UNREAD: Any = object()


@functools.lru_cache(maxsize=256)
def hints_of(actor_class: type) -> ActionHints:
    """The hints of a class, read once."""
    return ActionHints(actor_class)


class ActorProxy:
    """One actor, far away. Its attributes are its actions: `await proxy.increment(2)`.

    An action whose name is taken by a method of the proxy, or that is only known as text, is
    reached with `call`. Names that begin with `_` are never actions.
    """

    __slots__ = ("_hints", "_transport", "_where")

    def __init__(
        self, where: Address, transport: CallTransport, hints: ActionHints | None = None
    ) -> None:
        self._where = where
        self._transport = transport
        self._hints = hints

    async def call(self, action: str, *args: Any, timeout_s: float | None = None) -> Any:
        """Run the action named `action` and return its result.

        timeout_s: seconds to wait for the answer in all; None is the transport's default.
        Raises the actor's errors as they are in `denizen.core.errors`; `InvalidArguments` for an
        argument that can't be sent, `OutcomeUnknown` where the call may have run or not.
        """
        output = await self._transport.call(action, _plain_args(action, args), timeout_s)
        return output if self._hints is None else self._hints.convert(action, output)

    def __getattr__(self, name: str) -> "ActionProxy":
        if name.startswith("_"):
            raise AttributeError(f"{name!r} can't be an action: it begins with '_'.")
        if self._hints is not None and not self._hints.has(name):
            raise AttributeError(f"{self._where.type} has no action {name!r}: is it an @action?")
        return ActionProxy(self, name)

    def __str__(self) -> str:
        return str(self._where)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._where}>"


class ActionProxy:
    """One action of one actor: call it and await what comes."""

    __slots__ = ("_actor", "_name")

    def __init__(self, actor: ActorProxy, name: str) -> None:
        self._actor = actor
        self._name = name

    def __call__(self, *args: Any, **named: Any) -> Coroutine[Any, Any, Any]:
        """Run the action. Arguments by name need a proxy that was made from the actor's class."""
        if named:
            args = self._by_position(args, named)
        return self._actor.call(self._name, *args)

    def _by_position(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        hints = self._actor._hints
        if hints is None:
            raise TypeError(
                f"{self._name}: arguments travel by position. Name them only on a proxy made from "
                f"the actor's class; a deadline is `.call({self._name!r}, ..., timeout_s=...)`."
            )
        return hints.bind(self._name, args, named)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} of {self._actor!r}>"


class ActorCalls:
    """Actors by address, for code that only calls them: an actor's author has it as `self.client`.

    `open_transport` gives the way to an address; it is asked once for each proxy.
    """

    __slots__ = ("_namespace", "_open_transport")

    def __init__(
        self,
        open_transport: Callable[[Address], CallTransport],
        namespace: str = DEFAULT_NAMESPACE,
    ) -> None:
        self._open_transport = open_transport
        self._namespace = namespace

    @overload
    def get(self, actor: str, *key: str) -> ActorProxy: ...

    @overload
    def get(self, actor: type[A], *key: str) -> A: ...

    def get(self, actor: str | type[ActorClass], *key: str) -> Any:
        """The actor of a type and key. Given the class, results have the types of its hints.

        For a type checker the proxy of a class is an instance of it: only so do its methods keep
        their own signatures (see `docs/guides/client.md`).
        """
        return self._proxy(actor, address_of(self._namespace, actor, key))

    @overload
    def get_by_id(self, actor: str, actor_id: str) -> ActorProxy: ...

    @overload
    def get_by_id(self, actor: type[A], actor_id: str) -> A: ...

    def get_by_id(self, actor: str | type[ActorClass], actor_id: str) -> Any:
        """The actor of a type and id: after its destruction, nobody."""
        return self._proxy(actor, address_by_id(self._namespace, actor, actor_id))

    def _proxy(self, actor: str | type[ActorClass], where: Address) -> ActorProxy:
        return ActorProxy(where, self._open_transport(where), hints_for(actor))


def address_of(namespace: str, actor: str | type[ActorClass], key: tuple[str, ...]) -> Address:
    """The address of a type (or class) and key. Raises `InvalidKey`."""
    for part in key:
        if not isinstance(part, str):
            raise InvalidKey(f"The parts of a key are text, not {type(part).__name__}: {part!r}.")
    return Address(namespace, type_name_of(actor), check_key(key))


def address_by_id(namespace: str, actor: str | type[ActorClass], actor_id: str) -> Address:
    """The address of a type (or class) and actor id. Raises `InvalidKey`."""
    if len(actor_id) != _ACTOR_ID_DIGITS or not set(actor_id) <= set("0123456789abcdef"):
        raise InvalidKey(f"An actor id has 32 hexadecimal digits, {actor_id!r} isn't one.")
    return Address(namespace, type_name_of(actor), actor_id=actor_id)


def type_name_of(actor: str | type[ActorClass]) -> str:
    """The type's name. Raises `TypeError` for what is neither a name nor an actor class."""
    if isinstance(actor, str):
        return actor
    name = getattr(actor, "__actor_type__", None)
    if not isinstance(name, str):
        raise TypeError(f"{actor!r} is neither an actor type's name nor an actor class.")
    return name


def hints_for(actor: str | type[ActorClass]) -> ActionHints | None:
    """The hints of a class; None for a name."""
    return None if isinstance(actor, str) else hints_of(actor)


def _plain_args(action: str, args: tuple[Any, ...]) -> list[Any]:
    try:
        return plain(args)  # type: ignore[no-any-return]
    except Unencodable as error:
        raise InvalidArguments(f"{action}: {error.reason} - at `{error.path}`") from None
