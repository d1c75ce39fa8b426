"""An HTTP request for an actor's own ASGI app, between the gateway's callables and the body's messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from denizen.core.errors import DenizenError, OutcomeUnknown, from_wire
from denizen.wire import values
from denizen.wire.runtime import Failure, HttpReceive, HttpSend

ASGIMessage = dict[str, Any]
_PLAIN_SCOPE = (
    "type",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "root_path",
    "query_string",
    "headers",
    "client",
    "server",
)


def plain_scope(scope: ASGIMessage) -> ASGIMessage:
    """The part of an ASGI scope that is plain data and so can reach any body."""
    plain = {name: scope[name] for name in _PLAIN_SCOPE if name in scope}
    plain["asgi"] = {"version": "3.0", "spec_version": "2.3"}
    plain["headers"] = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    return plain


class Answering(Protocol):
    """Where the answers to an app's wants go: its actor."""

    def answer(self, request_id: int, value: bytes | None, failure: Failure | None) -> None: ...


class Exchange:
    """One request: asked by the gateway, answered message by message by the body.

    Its two directions don't wait for each other: an app may wait for the client's end while it sends.
    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[ASGIMessage]],
        send: Callable[[ASGIMessage], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._send = send
        # Bounded by the app, which waits for each answer.
        self._receives: asyncio.Queue[HttpReceive] = asyncio.Queue()
        self._sends: asyncio.Queue[HttpSend] = asyncio.Queue()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Who gave the request up doesn't ask what became of it.
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._has_sent = False
        self._is_complete = False

    def serve(self, want: HttpReceive | HttpSend) -> None:
        """The app wants a message or sends one."""
        if isinstance(want, HttpReceive):
            self._receives.put_nowait(want)
        else:
            self._sends.put_nowait(want)

    def succeed(self, call_id: int, value: bytes) -> None:
        """The app has returned (`host.activity.Asker`)."""
        if not self._ended.done():
            self._ended.set_result(None)

    def fail(self, call_id: int, failure: Failure) -> None:
        """The app has raised, or the actor is gone."""
        if not self._ended.done():
            self._ended.set_exception(from_wire(failure.code, failure.message, failure.metadata))

    async def run(self, instance: Answering) -> None:
        """Serve the app's wants until it ends. Raises its error if nothing was sent before.

        The app may end while a want is served (a body that it doesn't read): that is given up.
        """
        serving = {
            asyncio.ensure_future(self._serve_receives(instance)),
            asyncio.ensure_future(self._serve_sends(instance)),
        }
        try:
            await asyncio.wait({*serving, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not self._ended.done():
                for broken in serving:
                    if broken.done():
                        broken.result()
            while not self._sends.empty():
                await self._serve_send(instance, self._sends.get_nowait())
        finally:
            for direction in serving:
                direction.cancel()
        try:
            await self._ended
        except DenizenError:
            if not self._has_sent:
                raise
            if not self._is_complete:
                # Half an answer is out: only breaking the connection tells the client so.
                raise OutcomeUnknown(
                    "The actor's HTTP app failed after it began to answer."
                ) from None

    async def _serve_receives(self, instance: Answering) -> None:
        while True:
            want = await self._receives.get()
            event = await self._receive()
            instance.answer(want.request_id, values.pack(event), None)

    async def _serve_sends(self, instance: Answering) -> None:
        while True:
            await self._serve_send(instance, await self._sends.get())

    async def _serve_send(self, instance: Answering, want: HttpSend) -> None:
        self._has_sent = True
        event = values.unpack(want.event)
        await self._send(event)
        if event["type"] == "http.response.body" and not event.get("more_body"):
            self._is_complete = True
        instance.answer(want.request_id, None, None)
