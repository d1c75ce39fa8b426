"""An actor's own ASGI app, run in the actor's turns.

What the app sends is an output like any other: it leaves behind the gate. Each message is asked for or
taken one at a time, so neither side can flood the other.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from denizen.wire import values
from denizen.wire.runtime import HttpReceive, HttpSend, Output

Ask = Callable[[Callable[[int], Output]], Awaitable[Any]]


async def serve_http(app: Any, scope: dict[str, Any], activity_id: int, ask: Ask) -> None:
    """Serve one request; `ask` emits an output that the host answers."""

    async def receive() -> dict[str, Any]:
        event: dict[str, Any] = await ask(lambda request_id: HttpReceive(request_id, activity_id))
        return event

    async def send(event: dict[str, Any]) -> None:
        packed = values.pack(_sendable(event))
        await ask(lambda request_id: HttpSend(request_id, activity_id, packed))

    await app(scope, receive, send)


def _sendable(event: dict[str, Any]) -> dict[str, Any]:
    """The message as plain data: headers are bytes, a body may be any buffer."""
    plain = dict(event)
    if "headers" in plain:
        plain["headers"] = [[bytes(name), bytes(value)] for name, value in plain["headers"]]
    if "body" in plain:
        plain["body"] = bytes(plain["body"])
    return plain
