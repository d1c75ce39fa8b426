"""Which fields a turn changed, and how they are put back: random changes against plain copies."""

import copy
import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.core.errors import StateTooLarge, StateUnstorable
from denizen.core.limits import DEFAULT, Limits
from denizen.host.runtimes.python import tracking
from denizen.host.runtimes.python.tracking import Journal, TrackedState, TrackedType
from denizen.sdk.state_types import StateType


class Leaf(msgspec.Struct):
    names: list[str] = []


class StructState(msgspec.Struct):
    count: int = 0
    items: list[int] = []
    table: dict[str, list[int]] = {}
    leaf: Leaf = msgspec.field(default_factory=Leaf)
    chosen: set[int] = msgspec.field(default_factory=set)


@dataclasses.dataclass
class DataState:
    count: int = 0
    items: list[int] = dataclasses.field(default_factory=list)
    table: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    leaf: Leaf = dataclasses.field(default_factory=Leaf)
    chosen: set[int] = dataclasses.field(default_factory=set)


def new(cls: type[Any], limits: Limits = DEFAULT) -> TrackedState:
    found = StateType.of(cls, cls)
    assert found is not None
    state = TrackedState(TrackedType(found), limits)
    end_turn(state, state.start_new())
    return state


def end_turn(state: TrackedState, also: set[str] = frozenset()) -> dict[str, bytes | None]:  # type: ignore[assignment]
    names = tracking.noted | also
    tracking.noted.clear()
    changes = state.compare(names)
    state.remember(changes)
    return changes


def plain(obj: Any) -> Any:
    found = {name: copy.deepcopy(getattr(obj, name)) for name in StructState.__struct_fields__}
    tracking.noted.clear()
    return msgspec.to_builtins(found, order="deterministic")


CHANGES: dict[str, Any] = {
    "count": lambda state, n: setattr(state, "count", n),
    "append": lambda state, n: state.items.append(n),
    "replace": lambda state, n: setattr(state, "items", [n]),
    "clear": lambda state, n: state.items.clear(),
    "nest": lambda state, n: state.table.setdefault(str(n % 3), []).append(n),
    "drop": lambda state, n: state.table.pop(str(n % 3), None),
    "leaf": lambda state, n: state.leaf.names.append(str(n)),
    "new_leaf": lambda state, n: setattr(state, "leaf", Leaf([str(n)])),
    "choose": lambda state, n: state.chosen.add(n),
    "read": lambda state, n: (state.count, state.items, state.chosen),
    "through": lambda state, n: state.leaf.names.extend(map(str, state.items)),
}
TURN = st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(-5, 5)), max_size=6)
KINDS = pytest.mark.parametrize("cls", [StructState, DataState])


@KINDS
@given(turns=st.lists(TURN, max_size=5))
def test_what_was_captured_is_what_is_there(cls: type[Any], turns: list[Any]) -> None:
    """A reader of the store sees the same state after each turn; nothing unchanged is written."""
    state = new(cls)
    stored = dict(state.encoded)
    for turn in turns:
        before = plain(state.obj)
        for name, number in turn:
            CHANGES[name](state.obj, number)
        changes = end_turn(state)
        after = plain(state.obj)
        assert set(changes) == {name for name in after if after[name] != before[name]}
        stored.update(changes)  # type: ignore[arg-type]
        again = new(cls)
        again.load(stored)
        assert plain(again.obj) == after
        assert state.size_bytes == sum(map(len, stored.values())) == again.size_bytes


@KINDS
@given(kept=TURN, undone=TURN)
def test_an_undo_puts_the_very_same_objects_back(
    cls: type[Any], kept: list[Any], undone: list[Any]
) -> None:
    state = new(cls)
    for name, number in kept:
        CHANGES[name](state.obj, number)
    end_turn(state)
    before = plain(state.obj)
    held = {name: getattr(state.obj, name) for name in ("items", "table", "leaf", "chosen")}
    inside = [*held["table"].values(), held["leaf"].names]
    inside_before = copy.deepcopy(inside)
    tracking.noted.clear()

    journal = tracking.recording.journal = Journal()
    try:
        for name, number in undone:
            CHANGES[name](state.obj, number)
    finally:
        tracking.recording.journal = None
    journal.undo(state.put)
    tracking.noted.clear()

    assert plain(state.obj) == before
    for name, value in held.items():
        assert getattr(state.obj, name) is value
    assert inside == inside_before
    assert end_turn(state, set(StructState.__struct_fields__)) == {}


@KINDS
@given(kept=TURN, undone=TURN)
def test_a_rollback_of_a_turn_brings_back_what_was_captured(
    cls: type[Any], kept: list[Any], undone: list[Any]
) -> None:
    state = new(cls)
    for name, number in kept:
        CHANGES[name](state.obj, number)
    end_turn(state)
    before = plain(state.obj)
    for name, number in undone:
        CHANGES[name](state.obj, number)
    state.restore(set(tracking.noted))
    tracking.noted.clear()
    assert plain(state.obj) == before


@KINDS
def test_a_strange_value_is_refused_with_its_path_and_nothing_is_remembered(cls: type[Any]) -> None:
    state = new(cls)
    state.obj.count = 5
    state.obj.leaf.names.append(object())
    encoded = dict(state.encoded)
    with pytest.raises(StateUnstorable) as caught:
        end_turn(state)
    assert caught.value.metadata.startswith("state.leaf.names[0]: ")
    assert state.encoded == encoded


@KINDS
def test_a_value_of_the_wrong_type_is_refused(cls: type[Any]) -> None:
    state = new(cls)
    state.obj.items = ["text"]
    with pytest.raises(StateUnstorable):
        end_turn(state)


@KINDS
def test_the_size_is_judged_before_anything_is_remembered(cls: type[Any]) -> None:
    state = new(cls, Limits(state_bytes_max=40))
    state.obj.items = list(range(30))
    with pytest.raises(StateTooLarge):
        end_turn(state)
    state.obj.items = [1]
    assert set(end_turn(state)) == {"items"}


@KINDS
def test_the_object_is_one_of_its_author_s_class(cls: type[Any]) -> None:
    state = new(cls)
    assert isinstance(state.obj, cls)
    assert state.obj == cls()
    assert type(state.obj).__name__ == cls.__name__
    tracking.noted.clear()
