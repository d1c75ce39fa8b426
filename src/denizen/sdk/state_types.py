"""What a state may be: a msgspec Struct or a dataclass, and which fields it has.

Each field is stored on its own, so each has its own type to be decoded as. A class whose fields
can't be stored is refused when the actor's class is made.
"""

import dataclasses
import typing
from typing import Any

import msgspec
from msgspec import NODEFAULT

from denizen.core.limits import DEFAULT

_FIELD_NAME_BYTES_MAX = 256


class StateType:
    """The fields of a state class."""

    __slots__ = ("cls", "defaults", "fields")

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.fields: dict[str, Any] = {}
        self.defaults: dict[str, tuple[Any, Any]] = {}
        """name: (default, default_factory), each NODEFAULT where there is none."""

    @staticmethod
    def of(actor: type[Any], argument: Any) -> "StateType | None":
        """The state type of an actor class. Raises `TypeError` where it can't be stored."""
        if argument is None or argument is type(None):
            return None
        found = StateType(argument)
        if isinstance(argument, type) and issubclass(argument, msgspec.Struct):
            found._read_struct()
        elif isinstance(argument, type) and dataclasses.is_dataclass(argument):
            found._read_dataclass()
        else:
            raise TypeError(
                f"{actor.__name__}: its state is {argument!r}, but must be a msgspec.Struct or a dataclass."
            )
        found._check(actor.__name__)
        return found

    @property
    def is_constructible(self) -> bool:
        """Whether every field has a default, so that a new actor needs no `on_create`."""
        return all(pair != (NODEFAULT, NODEFAULT) for pair in self.defaults.values())

    def _read_struct(self) -> None:
        if self.cls.__struct_config__.frozen:
            raise TypeError(
                f"{self.cls.__name__} is frozen: a state is changed in place, so it can't be."
            )
        for field in msgspec.structs.fields(self.cls):
            self.fields[field.name] = field.type
            self.defaults[field.name] = (field.default, field.default_factory)

    def _read_dataclass(self) -> None:
        if self.cls.__dataclass_params__.frozen:
            raise TypeError(
                f"{self.cls.__name__} is frozen: a state is changed in place, so it can't be."
            )
        hints = typing.get_type_hints(self.cls, include_extras=True)
        for field in dataclasses.fields(self.cls):
            missing = dataclasses.MISSING
            self.fields[field.name] = hints[field.name]
            self.defaults[field.name] = (
                NODEFAULT if field.default is missing else field.default,
                NODEFAULT if field.default_factory is missing else field.default_factory,
            )

    def _check(self, actor: str) -> None:
        for name, hint in self.fields.items():
            if len(name.encode()) > _FIELD_NAME_BYTES_MAX:
                raise TypeError(f"{actor}: the field name {name!r} is too long.")
            try:
                msgspec.msgpack.Decoder(hint)
            except TypeError as error:
                raise TypeError(
                    f"{actor}: the state's field {name!r} can't be stored as {hint!r}: {error}"
                ) from None
        assert DEFAULT.store_key_bytes_max > 2 * _FIELD_NAME_BYTES_MAX

    def default_of(self, name: str) -> Any:
        """A fresh default of a field, or NODEFAULT."""
        default, factory = self.defaults[name]
        return factory() if factory is not NODEFAULT else default
