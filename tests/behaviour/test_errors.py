"""What a caller learns of an error, and what may be called at all."""

import logging
from typing import Any

import pytest

from denizen.core.errors import (
    InternalError,
    InvalidArguments,
    ResultUnsendable,
    RpcNotFound,
    UserError,
)
from tests.behaviour.conftest import Open


async def test_a_user_error_arrives_as_it_is(world: Open) -> None:
    async with world() as system:
        broken = system.get("broken", "a")
        for metadata in (None, 0, "x", {"a": [1]}, []):
            with pytest.raises(UserError) as caught:
                await broken.refuse(metadata)
            told = caught.value
            assert (told.message, told.user_code, told.metadata) == (
                "out of milk",
                "no_milk",
                metadata,
            )
        with pytest.raises(UserError) as caught:
            await broken.refuse_plainly()
        assert (caught.value.message, caught.value.user_code) == ("no", "user_error")


@pytest.mark.parametrize("action", ["bug", "bug_at_once", "group"])
async def test_an_exception_reveals_nothing_but_a_reference(world: Open, action: str) -> None:
    async with world() as system:
        with pytest.raises(InternalError) as caught:
            await system.get("broken", "a").call(action)
        told = caught.value
        assert told.message == "Internal error. Read the actor logs for more details."
        assert list(told.metadata) == ["reference"]
        assert set(told.metadata["reference"]) <= set("0123456789abcdef")


@pytest.mark.parametrize("action", ["bug", "bug_at_once", "group"])
async def test_the_reference_finds_the_log_line(
    here: Open, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    async with here() as system:
        with caplog.at_level(logging.ERROR, "denizen"), pytest.raises(InternalError) as caught:
            await system.get("broken", "a").call(action)
        (record,) = caplog.records
        fields = record.fields  # type: ignore[attr-defined]
        assert fields["reference"] == caught.value.metadata["reference"]
        assert fields["actor"] == "broken/a"
        assert record.exc_info is not None
        assert "secret" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "plain_method",
        "not_an_action",
        "on_start",
        "on_create",
        "on_destroy",
        "on_connect",
        "broadcast",
        "destroy",
        "spawn",
        "durable",
        "state",
        "vars",
        "_context",
        "__init__",
        "__class__",
        "__init_subclass__",
        "",
        "bug ",
        "Bug",
        "bug\x00",
        "bug.__call__",
    ],
)
async def test_only_actions_can_be_called(world: Open, name: str) -> None:
    async with world() as system:
        with pytest.raises(RpcNotFound):
            await system.get("broken", "a").call(name)


@pytest.mark.parametrize(
    ("action", "args", "message"),
    [
        ("typed", [], "typed takes 2 to 3 arguments, 0 were given."),
        ("typed", [{}, [], 1, 2], "typed takes 2 to 3 arguments, 4 were given."),
        ("typed", [{"x": "a"}, []], "typed: Expected `int`, got `str` - at `$[0].x`"),
        ("typed", [{}, ["a", 5]], "typed: Expected `str`, got `int` - at `$[1][1]`"),
        ("typed", [{}, [], "x"], "typed: Expected `float`, got `str` - at `$[2]`"),
        ("whole", [1.5], "whole: Expected `int`, got `float` - at `$[0]`"),
        ("whole", [True], "whole: Expected `int`, got `bool` - at `$[0]`"),
        ("whole", [None], "whole: Expected `int`, got `null` - at `$[0]`"),
        ("read", [1], "read takes 0 arguments, 1 were given."),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_with_the_path(
    world: Open, action: str, args: list[Any], message: str
) -> None:
    async with world() as system:
        with pytest.raises(InvalidArguments) as caught:
            await system.get("broken", "a").call(action, *args)
        assert caught.value.message == message


async def test_arguments_are_what_the_hints_say(world: Open) -> None:
    async with world() as system:
        broken = system.get("broken", "a")
        assert await broken.typed({"x": 3}, ["a"]) == [3, ["a"], 0.5]
        assert await broken.typed({}, [], 2) == [0, [], 2]
        assert await broken.echo() == []
        assert await broken.echo(1, None, {"a": [2.5, "x", True]}) == [
            1,
            None,
            {"a": [2.5, "x", True]},
        ]


@pytest.mark.parametrize("action", ["return_strange", "emit_strange"])
async def test_what_cannot_be_sent_says_where_to_look(world: Open, action: str) -> None:
    async with world() as system:
        with pytest.raises(ResultUnsendable, match="log says"):
            await system.get("broken", "a").call(action)


async def test_the_log_says_where_it_is(here: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with here() as system:
        with pytest.raises(ResultUnsendable):
            await system.get("broken", "a").return_strange()
        (record,) = caplog.records
        assert record.fields["path"] == "$.a[0]"  # type: ignore[attr-defined]


async def test_what_a_failed_parallel_action_changed_stands(world: Open) -> None:
    async with world() as system:
        broken = system.get("broken", "a")
        with pytest.raises(InternalError):
            await broken.bug()
        assert await broken.read() == 1
