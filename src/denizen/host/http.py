"""An HTTP request for an actor's own ASGI app, between the gateway's callables and the body's messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from denizen.core.errors import DenizenError, OutcomeUnknown, from_wire
from denizen.wire import values
from denizen.wire.runtime import Failure, HttpReceive, HttpSend

if TYPE_CHECKING:
    from denizen.host.instance import Instance

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


class Exchange:
    """One request: asked by the gateway, answered message by message by the body."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[ASGIMessage]],
        send: Callable[[ASGIMessage], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._send = send
        self._wants: asyncio.Queue[HttpReceive | HttpSend] = asyncio.Queue()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._has_sent = False

    def serve(self, want: HttpReceive | HttpSend) -> None:
        """The app wants a message or sends one. Bounded by the app: it waits for each answer."""
        self._wants.put_nowait(want)

    def succeed(self, call_id: int, value: bytes) -> None:
        """The app has returned (`host.activity.Asker`)."""
        if not self._ended.done():
            self._ended.set_result(None)

    def fail(self, call_id: int, failure: Failure) -> None:
        """The app has raised, or the actor is gone."""
        if not self._ended.done():
            metadata = None if failure.metadata is msgspec.UNSET else failure.metadata
            self._ended.set_exception(from_wire(failure.code, failure.message, metadata))

    async def run(self, instance: "Instance") -> None:
        """Serve the app's wants until it ends. Raises its error if nothing was sent before.

        The app may end while a want is served (a stream that it no longer reads): that is given up.
        """
        serving = asyncio.ensure_future(self._serve_wants(instance))
        try:
            await asyncio.wait({serving, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done() and not self._ended.done():
                serving.result()
            await self._drain(instance)
        finally:
            serving.cancel()
        try:
            await self._ended
        except DenizenError:
            if not self._has_sent:
                raise
            # Half an answer is out: only breaking the connection tells the client so.
            raise OutcomeUnknown("The actor's HTTP app failed after it began to answer.") from None

    async def _serve_wants(self, instance: "Instance") -> None:
        while True:
            await self._serve_one(instance, await self._wants.get())

    async def _drain(self, instance: "Instance") -> None:
        while not self._wants.empty():
            want = self._wants.get_nowait()
            if isinstance(want, HttpSend):
                await self._serve_one(instance, want)

    async def _serve_one(self, instance: "Instance", want: HttpReceive | HttpSend) -> None:
        if isinstance(want, HttpReceive):
            event = await self._receive()
            instance.answer(want.request_id, values.pack(event), None)
        else:
            self._has_sent = True
            await self._send(values.unpack(want.event))
            instance.answer(want.request_id, None, None)
