"""Which fields of a state a turn has touched, and how to put them back.

Theory. A state is an ordinary object of its author's class; each field is stored on its own. Comparing
every field at every turn's end would make a large state slow, so `self.state` is an instance of a
subclass made here, whose fields are descriptors that note their name when read or assigned. Only what
was noted is compared (`compare`, `remember`).

- T1 A field that was changed in a turn is noted in that turn, or is an *alias*: a mutable value that
  this activity read in an earlier turn and may still hold. Aliases are compared at each later turn of that
  activity. (Tried and dropped: comparing all fields: 100 fields of 10 KiB cost 100 times one.)
- T2 What a field was last captured as is what the store has or will have: `encoded`.
- T3 An undo puts the very same objects back. The *journal* of an exclusive action records, when a field is
  first noted, its value and a shallow copy of each container reachable from it; undoing writes the copies
  back into their containers, so that whoever still holds one of them sees the old content.

One turn runs at a time on a thread, so what is noted goes into one module-wide set which the
body empties at each turn's end.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec

from denizen.core.errors import CommitTooLarge, StateTooLarge, StateUnstorable
from denizen.core.limits import Limits
from denizen.sdk.state_types import StateType

_encode = msgspec.msgpack.Encoder().encode
_IMMUTABLE = frozenset({int, str, bool, float, bytes, type(None)})

noted: set[str] = set()
"""Names of the fields that the present turn has read or assigned."""


class _Recording:
    """Where the journal of the running exclusive action is, if one runs."""

    journal: "Journal | None" = None


recording = _Recording()


class Journal:
    """What an exclusive action found before it changed anything (T3)."""

    __slots__ = ("_containers", "_values")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._containers: dict[int, tuple[Any, Any]] = {}

    def record(self, name: str, value: Any) -> None:
        """Note a field's value, once."""
        if name not in self._values:
            self._values[name] = value
            self._copy(value)

    def undo(self, put: Callable[[str, Any], None]) -> None:
        """Put everything back: contents into containers, then values into fields."""
        for container, copy in self._containers.values():
            _refill(container, copy)
        for name, value in self._values.items():
            put(name, value)

    @property
    def names(self) -> set[str]:
        return set(self._values)

    def _copy(self, value: Any) -> None:
        waiting = [value]
        while waiting:
            item = waiting.pop()
            kind = type(item)
            if kind in _IMMUTABLE or id(item) in self._containers:
                continue
            if kind is list or kind is dict or kind is set or kind is bytearray:
                self._containers[id(item)] = (item, kind(item))
                waiting.extend(item.values() if kind is dict else () if kind is bytearray else item)
            elif kind is tuple or kind is frozenset:
                waiting.extend(item)
            elif (fields := _fields_of(item)) is not None:
                copy = {name: getattr(item, name) for name in fields if hasattr(item, name)}
                self._containers[id(item)] = (item, copy)
                waiting.extend(copy.values())


def _fields_of(item: Any) -> tuple[str, ...] | None:
    if isinstance(item, msgspec.Struct):
        return item.__struct_fields__
    if dataclasses.is_dataclass(item):
        return tuple(field.name for field in dataclasses.fields(item))
    return tuple(item.__dict__) if hasattr(item, "__dict__") else None


def _refill(container: Any, copy: Any) -> None:
    if isinstance(container, list | bytearray):
        container[:] = copy
    elif isinstance(container, dict | set):
        container.clear()
        container.update(copy)
    else:
        for name, value in copy.items():
            if getattr(container, name, msgspec.UNSET) is not value:
                object.__setattr__(container, name, value)


def _describe_field(name: str, inner: Any) -> property:
    """A descriptor over the base class's slot (or the instance's dictionary) that notes its use."""
    if inner is not None and hasattr(inner, "__get__"):
        read, write = inner.__get__, inner.__set__
    else:

        def read(obj: Any, _: Any = None) -> Any:
            try:
                return obj.__dict__[name]
            except KeyError:
                raise AttributeError(name) from None

        def write(obj: Any, value: Any) -> None:
            obj.__dict__[name] = value

    def get(self: Any) -> Any:
        value = read(self)
        if name not in noted:
            noted.add(name)
        if recording.journal is not None:
            recording.journal.record(name, value)
        return value

    def put(self: Any, value: Any) -> None:
        noted.add(name)
        if recording.journal is not None:
            recording.journal.record(name, read(self))
        write(self, value)

    return property(get, put)


class TrackedType:
    """The subclass of a state class whose fields note their use, and raw access beside it."""

    __slots__ = ("cls", "decoders", "fields", "read", "simple", "state_type", "write")

    def __init__(self, state_type: StateType) -> None:
        self.state_type = state_type
        self.fields = tuple(state_type.fields)
        base = state_type.cls
        self.read: dict[str, Callable[[Any], Any]] = {}
        self.write: dict[str, Callable[[Any, Any], None]] = {}
        namespace: dict[str, Any] = {
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
        }
        if not issubclass(base, msgspec.Struct) and not hasattr(base, "__dict__"):
            namespace["__slots__"] = ()
        metaclass: Any = type(base)
        self.cls: Any = metaclass(base.__name__, (base,), namespace)
        for name in self.fields:
            slot = _slot_of(base, name)
            self.read[name], self.write[name] = _raw_access(name, slot)
            setattr(self.cls, name, _describe_field(name, slot))
        self.cls.__eq__ = _equal_by_fields(self.fields, base)
        self.decoders = {
            name: msgspec.msgpack.Decoder(hint) for name, hint in state_type.fields.items()
        }
        self.simple = {
            name: hint
            for name, hint in state_type.fields.items()
            if hint in (int, str, bool, bytes)
        }

    def make(self, values: dict[str, Any]) -> Any:
        """An instance with these fields; `__post_init__` runs as its author expects."""
        if issubclass(self.cls, msgspec.Struct):
            return self.cls(**values)
        obj = object.__new__(self.cls)
        for name, value in values.items():
            self.write[name](obj, value)
        if hasattr(obj, "__post_init__"):
            obj.__post_init__()
        return obj


def _slot_of(base: type[Any], name: str) -> Any:
    for klass in base.__mro__:
        found = klass.__dict__.get(name)
        if found is not None and hasattr(found, "__set__") and hasattr(found, "__get__"):
            return found
    return None


def _raw_access(name: str, slot: Any) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
    if slot is not None:
        return slot.__get__, slot.__set__
    return (lambda obj: obj.__dict__[name]), (
        lambda obj, value: obj.__dict__.__setitem__(name, value)
    )


def _equal_by_fields(fields: tuple[str, ...], base: type[Any]) -> Callable[[Any, Any], bool]:
    def equal(self: Any, other: Any) -> bool:
        if not isinstance(other, base):
            return False
        return all(bool(getattr(self, name) == getattr(other, name)) for name in fields)

    return equal


class TrackedState:
    """One actor's state: the object its author sees, and what it was last captured as (T2)."""

    __slots__ = ("_limits", "_type", "encoded", "obj", "size_bytes")

    def __init__(self, tracked: TrackedType, limits: Limits) -> None:
        self._type = tracked
        self._limits = limits
        self.obj: Any = None
        self.encoded: dict[str, bytes] = {}
        self.size_bytes = 0

    def load(self, stored: dict[str, bytes]) -> None:
        """Become what was stored; fields that it lacks get their defaults.

        Raises `ValueError` naming a field that can't be decoded or has no default. Stored fields that
        the class doesn't know stay as they are, and count.
        """
        values: dict[str, Any] = {}
        for name in self._type.fields:
            data = stored.get(name)
            if data is not None:
                try:
                    value = self._type.decoders[name].decode(data)
                except msgspec.DecodeError as error:
                    raise ValueError(
                        f"the stored field {name!r} doesn't fit its type: {error}"
                    ) from None
                self.encoded[name] = data
            else:
                value = self._type.state_type.default_of(name)
                if value is msgspec.NODEFAULT:
                    raise ValueError(f"the field {name!r} is not stored and has no default")
            values[name] = value
        self.size_bytes = sum(map(len, stored.values()))
        self.obj = self._type.make(values)

    def start_new(self) -> set[str]:
        """Become a new actor's state, if every field has a default; the names that are now set."""
        if not self._type.state_type.is_constructible:
            return set()
        state_type = self._type.state_type
        self.obj = self._type.make(
            {name: state_type.default_of(name) for name in self._type.fields}
        )
        return set(self._type.fields)

    def replace(self, state: Any) -> None:
        """Take over every field of another instance; `self.obj` stays the same object."""
        if not isinstance(state, self._type.state_type.cls):
            raise TypeError(
                f"The state must be a {self._type.state_type.cls.__name__}, not a {type(state).__name__}."
            )
        values = {name: getattr(state, name) for name in self._type.fields}
        if self.obj is None:
            self.obj = self._type.make(values)
            noted.update(values)
            return
        for name, value in values.items():
            setattr(self.obj, name, value)

    def mutable_among(self, names: set[str]) -> set[str]:
        """Those of the fields whose values can be changed without being assigned (T1)."""
        read = self._type.read
        return {name for name in names if type(read[name](self.obj)) not in _IMMUTABLE}

    def compare(self, names: set[str]) -> dict[str, bytes | None]:
        """The fields that changed among `names`, encoded.

        Raises `StateUnstorable`, whose metadata is the path.
        """
        changes: dict[str, bytes | None] = {}
        read, obj, encoded = self._type.read, self.obj, self.encoded
        # In the same order in every process, or what is simulated would not repeat itself.
        for name in names if len(names) < 2 else sorted(names):
            data = self._encode(name, read[name](obj))
            if data != encoded.get(name):
                changes[name] = data
        return changes

    def remember(self, changes: dict[str, bytes | None]) -> None:
        """From now on that is what the fields were last captured as (T2).

        Raises `StateTooLarge` or `CommitTooLarge`; nothing is remembered then.
        """
        encoded = self.encoded
        grown = written = 0
        for name, data in changes.items():
            size = 0 if data is None else len(data)
            written += size
            grown += size - len(encoded.get(name, b""))
        if written > self._limits.commit_bytes_max:
            raise CommitTooLarge(
                f"One turn changed {written} bytes of state; a commit may carry "
                f"{self._limits.commit_bytes_max}: change less between two awaits."
            )
        if grown > 0 and self.size_bytes + grown > self._limits.state_bytes_max:
            raise StateTooLarge(
                f"The actor's state would have {self.size_bytes + grown} bytes; "
                f"its limit is {self._limits.state_bytes_max}."
            )
        self.size_bytes += grown
        encoded.update(changes)  # type: ignore[arg-type]

    def restore(self, names: set[str]) -> None:
        """Put fields back to what they were last captured as.

        A list, dict or set is refilled in place, so that who holds it sees the old content.
        """
        for name in names:
            data = self.encoded.get(name)
            if data is None:
                continue
            fresh = self._type.decoders[name].decode(data)
            live = self._type.read[name](self.obj)
            if type(live) is type(fresh) and type(live) in (list, dict, set):
                _refill(live, fresh)
            else:
                self._type.write[name](self.obj, fresh)

    def put(self, name: str, value: Any) -> None:
        """Set a field without noting it."""
        self._type.write[name](self.obj, value)

    def _encode(self, name: str, value: Any) -> bytes:
        try:
            data = _encode(value)
            if type(value) is not self._type.simple.get(name):
                # What can't be read back would brick the actor at its next start.
                self._type.decoders[name].decode(data)
        except (TypeError, OverflowError, ValueError, RecursionError) as error:
            path = path_of_unstorable(value, f"state.{name}")
            raise StateUnstorable(
                "The actor's state holds a value that can't be stored; its log says where.",
                metadata=f"{path}: {error}",
            ) from None
        return data


def path_of_unstorable(value: Any, path: str, depth: int = 0) -> str:
    """The path to the first value inside that can't be encoded, or to the value itself."""
    if depth < 50:
        for step, item in _items_of(value):
            try:
                _encode(item)
            except (TypeError, OverflowError, ValueError, RecursionError):
                return path_of_unstorable(item, path + step, depth + 1)
    return path


def _items_of(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{key!r}]", item) for key, item in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{at}]", item) for at, item in enumerate(value)]
    fields = _fields_of(value)
    if fields is None:
        return []
    return [(f".{name}", getattr(value, name)) for name in fields if hasattr(value, name)]
