"""`denizen call`: one call to one actor, its result on standard output."""

import sys
from typing import Annotated, Any

import msgspec
import typer

from denizen.cli import screen
from denizen.core.address import DEFAULT_NAMESPACE, Address, parse_address
from denizen.core.errors import DenizenError, NotConnected, code_of

_CONNECT_S = 3.0
"""Long enough for a server that reloads, short enough for one that isn't there."""


def call(
    address: Annotated[str, typer.Argument(metavar="TYPE/KEY", help="The actor: counter/a.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="What it is to do.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARG]...", help="JSON, or plain text where it isn't JSON."),
    ] = None,
    url: Annotated[str, typer.Option(help="Where the server is.")] = "http://127.0.0.1:7420",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print for programs, errors too.")] = False,
) -> None:
    """Call an action of an actor and print its result."""
    import asyncio  # not for the other verbs: their start would pay for it

    try:
        where = _parse(address)
        values = [_value(text) for text in args or ()]
        result = asyncio.run(_call(url, where, action, values, timeout))
    except DenizenError as error:
        _show_error(error, as_json=json)
        raise typer.Exit(1) from None
    except screen.Failure as failure:
        screen.show_failure(failure)
        raise typer.Exit(1) from None
    _show(result, as_json=json)


def _parse(text: str) -> Address:
    type_name, slash, segment = text.partition("/")
    if not slash or not type_name:
        raise screen.Failure(
            f"{text!r} isn't an actor's address: write TYPE/KEY, as in counter/a "
            "(counter/- for the empty key)."
        )
    return parse_address(DEFAULT_NAMESPACE, type_name, segment)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        if text.startswith("-"):
            quoted = msgspec.json.encode(text).decode()
            raise screen.Failure(
                f"There is no option {text}. If it is an argument, write it as JSON: '{quoted}'."
            ) from None
        return text


async def _call(url: str, where: Address, action: str, args: list[Any], timeout_s: float) -> Any:
    from denizen.client import Client, Settings

    settings = Settings(call_timeout_s=timeout_s)
    async with Client(url, format="json", settings=settings) as client:
        if where.actor_id is not None:
            actor = client.get_by_id(where.type, where.actor_id)
        else:
            actor = client.get(where.type, *where.key)
        try:
            await actor.connect(timeout_s=min(_CONNECT_S, timeout_s))
        except NotConnected as error:
            raise NotConnected(
                f"{url} can't be reached: start a server with `denizen dev FILE`, or name another "
                f"one with --url. ({error.message.rstrip('.')})"
            ) from None
        return await actor.call(action, *args)


def _show(result: Any, *, as_json: bool) -> None:
    encoded = msgspec.json.encode(result)
    if as_json or not sys.stdout.isatty():
        print(encoded.decode())
        return
    from rich import print_json

    print_json(encoded.decode())


def _show_error(error: DenizenError, *, as_json: bool) -> None:
    code = code_of(error)
    if as_json:
        body = {"code": code, "message": error.message}
        if error.metadata is not None:
            body["metadata"] = error.metadata
        print(msgspec.json.encode(body, enc_hook=repr).decode(), file=sys.stderr)
        return
    metadata = "" if error.metadata is None else f"\n{error.metadata}"
    screen.show_failure(screen.Failure(f"{code}: {error.message}{metadata}"))
