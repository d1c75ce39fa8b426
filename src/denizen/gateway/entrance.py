"""The door of the HTTP side: who comes in, and how errors and origins read on the way out.

Everything that is common to all routes happens here, once, around them.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from denizen.core.errors import DenizenError, Forbidden
from denizen.gateway import admit, cors
from denizen.gateway.answers import error_body, error_headers, handled_error
from denizen.gateway.cors import Headers

PRINCIPAL = "denizen.principal"


class Entrance:
    """ASGI middleware: admits a request, puts its principal in the scope, answers its errors."""

    def __init__(self, app: ASGIApp, policy: admit.Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host, origin = _one(scope, b"host"), _one(scope, b"origin")
        allowed = origin if self._is_allowed(origin, host) else None
        answer = _Answer(send, allowed)
        try:
            scope[PRINCIPAL] = admit.admit(self._policy, _text(host), _text(origin))
            if allowed is not None and cors.is_preflight(scope["method"], scope["headers"]):
                await answer.send_whole(204, cors.preflight_headers(allowed, scope["headers"]), b"")
                return
            await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            # The port is closing and this connection was cut: nobody is left to answer. This is
            # the whole of its task, so nobody else waits for the cancellation either.
            return
        except Exception as error:
            if answer.has_begun:
                # Too late to say so: the connection is cut, which the client can't take for an end.
                raise
            refusal = handled_error(error, f"{scope['method']} {scope['path']}")
            await send_error(answer, refusal)

    def _is_allowed(self, origin: bytes | None, host: bytes | None) -> bool:
        return origin is not None and admit.allows_origin(
            self._policy, origin.decode("latin-1"), _text(host)
        )


class _Answer:
    """Where an answer leaves; it gets its origin headers here."""

    def __init__(self, send: Send, origin: bytes | None) -> None:
        self._send = send
        self._origin = origin
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = list(message.get("headers", ()))
            message = {**message, "headers": cors.with_origin(headers, self._origin)}
        await self._send(message)

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        if body or status not in (204, 304):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        start: dict[str, Any] = {"type": "http.response.start", "status": status}
        await self.send({**start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


async def send_error(answer: _Answer, error: DenizenError) -> None:
    """Answer with an error."""
    headers = error_headers(error)
    if isinstance(error, Forbidden):
        # What is left of the request is not worth reading.
        headers.append((b"connection", b"close"))
    await answer.send_whole(error.status, headers, error_body(error))


def _one(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
