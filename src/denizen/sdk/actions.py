"""Which methods of an actor may be called, with which arguments, and how they run.

Only what is declared with `@action` is callable. Arguments and results have the types of the method's
hints; a hint that can't be checked is refused when the class is made, not when it is called.
"""

import contextlib
import inspect
import typing
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

from denizen.core.errors import InvalidArguments
from denizen.core.limits import DEFAULT
from denizen.wire import values

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__denizen_action__"
_EXACT = (int, str, bool)


class ActionOptions(msgspec.Struct, frozen=True):
    """What `@action` was told. `exclusive` None: as the class says."""

    exclusive: bool | None = None
    timeout_s: float | None = None


@overload
def action(function: F, /) -> F: ...


@overload
def action(
    *, exclusive: bool | None = None, timeout_s: float | None = None
) -> Callable[[F], F]: ...


def action(
    function: F | None = None,
    /,
    *,
    exclusive: bool | None = None,
    timeout_s: float | None = None,
) -> F | Callable[[F], F]:
    """Declare a method callable from outside.

    exclusive: runs alone and all or nothing (promise 8).
    timeout_s: seconds after which the caller gets `rpc_timed_out` and the action is cancelled
    (default 60).
    """
    if timeout_s is not None and not timeout_s > 0:
        raise TypeError(f"timeout_s must be above 0, not {timeout_s!r}.")

    def mark(marked: F) -> F:
        if inspect.isasyncgenfunction(marked) or inspect.isgeneratorfunction(marked):
            raise TypeError(
                f"{marked.__qualname__}: an action is a def or an async def; generators can't be actions yet."
            )
        setattr(marked, _MARK, ActionOptions(exclusive, timeout_s))
        return marked

    return mark if function is None else mark(function)


class Action:
    """One action of a type, compiled: `bind_args` checks what comes, `pack_result` what goes."""

    __slots__ = (
        "_defaults",
        "_exact",
        "_model",
        "_required",
        "_rest",
        "_result",
        "function",
        "is_async",
        "is_exclusive",
        "name",
        "timeout_s",
    )

    def __init__(
        self, name: str, function: Callable[..., Any], options: ActionOptions, class_exclusive: bool
    ) -> None:
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_exclusive = class_exclusive if options.exclusive is None else options.exclusive
        self.timeout_s = options.timeout_s
        """None: as the host's limits say."""
        self._read_signature(function)

    def _read_signature(self, function: Callable[..., Any]) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        types: list[Any] = []
        required = 0
        rest: Any = None
        parameters = list(inspect.signature(function).parameters.values())[1:]
        for parameter in parameters:
            hint = hints.get(parameter.name, Any)
            if parameter.kind is parameter.VAR_POSITIONAL:
                rest = hint
            elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                types.append(hint)
                required += parameter.default is parameter.empty
            else:
                raise TypeError(
                    f"{function.__qualname__}: arguments of an action are positional; "
                    f"'{parameter.name}' can't be one."
                )
        self._required = required
        self._rest = rest
        self._result = hints.get("return", Any)
        # One tuple type for each number of arguments that may come.
        self._model = {
            count: tuple[tuple(types[:count]) or ()]  # type: ignore[misc]
            for count in range(required, len(types) + 1)
        }
        self._exact = {
            count: tuple(types[:count])
            for count in self._model
            if all(hint in _EXACT for hint in types[:count])
        }
        self._defaults = types
        for model in self._model.values():
            _check_hint(function, model)
        for hint in (rest, self._result):
            if hint is not None:
                _check_hint(function, hint)

    def bind_args(self, args: list[Any]) -> tuple[Any, ...]:
        """The arguments as the method's hints want them. Raises `InvalidArguments` with the path."""
        count = len(args)
        if tuple(map(type, args)) == self._exact.get(count):
            # The commonest arguments need no more than this look: a third of the cost.
            return tuple(args)
        model = self._model.get(count)
        try:
            if model is not None:
                return msgspec.convert(args, model)  # type: ignore[no-any-return]
            if self._rest is not None and count > self._required:
                return self._bind_rest(args)
        except msgspec.ValidationError as error:
            raise InvalidArguments(f"{self.name}: {error}") from None
        if count < self._required:
            # A client leaves out trailing arguments that it has no value for: null, where that fits.
            with contextlib.suppress(msgspec.ValidationError):
                full = args + [None] * (self._required - count)
                return msgspec.convert(full, self._model[self._required])  # type: ignore[no-any-return]
        raise InvalidArguments(f"{self.name} takes {self._arity()}, {len(args)} were given.")

    def _bind_rest(self, args: list[Any]) -> tuple[Any, ...]:
        fixed = len(self._defaults)
        head = msgspec.convert(args[:fixed], self._model[fixed])
        return (*head, *msgspec.convert(args[fixed:], list[self._rest]))  # type: ignore[name-defined]

    def pack_result(self, result: Any) -> bytes:
        """The result in neutral form. Raises `Unencodable` where it isn't what the return hint says."""
        if type(result) is self._result or self._result is Any:
            return values.pack(result)
        plain = values.plain(result)
        try:
            msgspec.convert(plain, self._result, str_keys=True)
        except msgspec.ValidationError as error:
            raise values.Unencodable("$", f"it isn't what {self.name} promises: {error}") from None
        return values.pack(plain)

    def _arity(self) -> str:
        low, high = self._required, len(self._defaults)
        if self._rest is not None:
            return f"at least {low} arguments"
        count = str(low) if low == high else f"{low} to {high}"
        return f"{count} argument{'' if count == '1' else 's'}"


def _check_hint(function: Callable[..., Any], hint: Any) -> None:
    try:
        msgspec.json.Decoder(hint)
    except TypeError as error:
        raise TypeError(
            f"{function.__qualname__}: what it takes or returns can't be checked by its hints: {error}"
        ) from None


def find_actions(cls: type, class_exclusive: bool) -> dict[str, Action]:
    """All actions of a class, its bases' included. Raises `TypeError` for one that can't be."""
    found: dict[str, Action] = {}
    for name in dir(cls):
        function = inspect.getattr_static(cls, name)
        options = getattr(function, _MARK, None)
        if options is None:
            continue
        if name.startswith("_"):
            raise TypeError(f"{cls.__name__}.{name}: names that begin with '_' can't be actions.")
        if len(name.encode()) > DEFAULT.action_name_bytes_max:
            raise TypeError(f"{cls.__name__}.{name}: the name is too long for an action.")
        found[name] = Action(name, function, options, class_exclusive)
    return found
