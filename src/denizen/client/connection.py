"""One connection to one actor: does what the machine decides, with a socket, timers and futures.

Everything here runs on one event loop. Decisions are in `machine.py`, bytes in `wire.v1`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from denizen.client import effects
from denizen.client.effects import Effect
from denizen.client.endings import Ending
from denizen.client.events import EventHandlers, Handler
from denizen.client.machine import ConnectionMachine, State
from denizen.client.settings import Settings
from denizen.client.sockets import Dial, Socket
from denizen.client.tasks import TaskSet
from denizen.core import clock, entropy
from denizen.core.errors import MalformedMessage, code_of, from_wire
from denizen.wire.v1 import CODECS, Codec

_log = logging.getLogger("denizen.client")
_UNDECODABLE = 1007
_LOOKS_WHILE_IDLE = 4


class Connection:
    """A connection, opened when it is first needed. It is the `CallTransport` of its handles."""

    def __init__(
        self,
        url: str,
        codec: Codec,
        dial: Dial,
        settings: Settings,
        *,
        sockets: TaskSet,
        handlers: TaskSet,
    ) -> None:
        self._url = url
        self._codec = codec
        self._dial = dial
        self._settings = settings
        self._sockets = sockets
        self._machine = ConnectionMachine(settings)
        self._where = url.partition("?")[0]  # parameters may be secret
        self._handlers = EventHandlers(self._where, settings.events_waiting_max, handlers)
        self._link: _Link | None = None
        self._retry_timer: asyncio.TimerHandle | None = None
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last_call_id = -1

    @property
    def state(self) -> State:
        return self._machine.state

    async def call(self, action: str, args: list[Any], timeout_s: float | None) -> Any:
        """See `CallTransport`. The time includes waiting for the connection."""
        call_id = self._next_call_id()
        return await self._settle(
            call_id, self._codec.encode_call(call_id, action, args), timeout_s
        )

    async def open(self, timeout_s: float | None) -> None:
        """Make the connection stand, and keep it standing until `release`.

        Raises `NotConnected` when it doesn't within the time, or what the server refused it with.
        """
        self._perform(self._machine.hold(clock.monotonic()))
        await self._settle(self._next_call_id(), None, timeout_s)

    def release(self) -> None:
        """End what `open` asked for."""
        self._perform(self._machine.release(clock.monotonic()))

    def on(self, event: str, handler: Handler, *, is_once: bool = False) -> Callable[[], None]:
        """Call `handler` with the arguments of each event of that name (`is_once`: of the next)."""
        remove = self._handlers.add(event, handler, is_once=is_once)
        self._perform(self._machine.subscribe(event, clock.monotonic()))

        def off() -> None:
            if remove():
                self._perform(self._machine.unsubscribe(event, clock.monotonic()))

        return off

    def close(self) -> None:
        """Settle everything and close. Later calls are refused."""
        self._perform(self._machine.close())

    # What a link reports.

    def opened(self, link: "_Link") -> None:
        if link is self._link:
            self._look_again_for_idle(link)
            self._perform(self._machine.opened(clock.monotonic()))

    def receive(self, link: "_Link", payload: bytes, is_binary: bool) -> None:
        if link is not self._link:
            return
        try:
            frame = CODECS["cbor" if is_binary else "json"].decode_server_frame(payload)
        except MalformedMessage as error:
            _log.error("A frame from %s can't be read (%s): reconnecting.", self._where, error)
            link.close(_UNDECODABLE, "unreadable frame")
            self.ended(link, Ending(reason="the server sent a frame that can't be read"))
            return
        self._perform(self._machine.received(frame, clock.monotonic()))

    def ended(self, link: "_Link", ending: Ending) -> None:
        if link is self._link:
            self._link = None
            _log.debug("The connection to %s ended: %s.", self._where, ending.text)
            self._perform(self._machine.lost(ending, clock.monotonic()))

    # How it is done.

    def _next_call_id(self) -> int:
        self._last_call_id += 1
        return self._last_call_id

    async def _settle(self, call_id: int, payload: bytes | None, timeout_s: float | None) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._pending[call_id] = future
        within_s = self._settings.call_timeout_s if timeout_s is None else timeout_s
        timer = loop.call_later(within_s, self._expire, call_id)
        try:
            self._perform(self._machine.call(call_id, payload, clock.monotonic()))
            return await future
        finally:
            timer.cancel()
            if future.done() and not future.cancelled():
                future.exception()  # seen, also where a cancellation came in between
            if self._pending.pop(call_id, None) is not None:
                self._perform(self._machine.forget(call_id, clock.monotonic()))

    def _expire(self, call_id: int) -> None:
        self._perform(self._machine.expire(call_id, clock.monotonic()))

    def _retry(self) -> None:
        self._retry_timer = None
        self._perform(self._machine.retry(clock.monotonic()))

    def _look_for_idle(self, link: "_Link") -> None:
        if link is self._link:
            self._look_again_for_idle(link)
            self._perform(self._machine.idle(clock.monotonic()))

    def _look_again_for_idle(self, link: "_Link") -> None:
        pause_s = self._settings.idle_s / _LOOKS_WHILE_IDLE
        link.idle_timer = asyncio.get_running_loop().call_later(pause_s, self._look_for_idle, link)

    def _perform(self, todo: list[Effect]) -> None:
        for effect in todo:
            match effect:
                case effects.SendCall(_, payload):
                    self._send(payload)
                case effects.Return(call_id, output):
                    if (future := self._pending.pop(call_id, None)) and not future.done():
                        future.set_result(output)
                case effects.Deliver(event, args):
                    self._deliver(event, args)
                case effects.Fail(call_id, error):
                    if (future := self._pending.pop(call_id, None)) and not future.done():
                        # One error may settle many calls: each raises its own, with its traceback.
                        future.set_exception(
                            from_wire(code_of(error), error.message, error.metadata)
                        )
                case effects.SendSubscription(event, is_on):
                    self._send(self._codec.encode_subscribe(event, is_on))
                case effects.OpenSocket():
                    link = self._link = _Link(self)
                    self._sockets.start(link.run(self._dial, self._url), f"socket of {self._where}")
                case effects.CloseSocket(code, reason):
                    self._drop_link(code, reason)
                case effects.Retry(at_least_s, at_most_s):
                    pause_s = entropy.uniform(at_least_s, at_most_s)
                    loop = asyncio.get_running_loop()
                    self._retry_timer = loop.call_later(pause_s, self._retry)
                case effects.CancelRetry():
                    if self._retry_timer is not None:
                        self._retry_timer.cancel()
                        self._retry_timer = None
                case effects.Report(error):
                    _log.warning("The connection to %s is over: %s", self._where, error)

    def _send(self, payload: bytes) -> None:
        assert self._link is not None, "the machine sends on an open connection only"
        self._link.send(payload, self._codec.is_binary)

    def _drop_link(self, code: int, reason: str) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close(code, reason)

    def _deliver(self, event: str, args: list[Any]) -> None:
        self._handlers.deliver(event, args)
        if not self._handlers.wants(event):  # the last handler was a `once`
            self._perform(self._machine.unsubscribe(event, clock.monotonic()))


class _Link:
    """One socket, or the attempt to open one. Once its connection drops it, nobody listens."""

    __slots__ = ("_connection", "_is_closed", "_socket", "idle_timer")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._socket: Socket | None = None
        self._is_closed = False
        self.idle_timer: asyncio.TimerHandle | None = None

    async def run(self, dial: Dial, url: str) -> None:
        try:
            ending = await dial(url, self)
        except Exception as error:
            _log.exception(
                "Connecting to %s failed in a way that it shouldn't.", url.partition("?")[0]
            )
            ending = Ending(reason=f"connecting failed ({error!r})")
        finally:
            if self.idle_timer is not None:
                self.idle_timer.cancel()
        self.ended(ending)

    def opened(self, socket: Socket) -> None:
        self._socket = socket
        if self._is_closed:
            socket.close(1000, "")
        else:
            self._connection.opened(self)

    def receive(self, payload: bytes, is_binary: bool) -> None:
        self._connection.receive(self, payload, is_binary)

    def ended(self, ending: Ending) -> None:
        self._connection.ended(self, ending)

    def send(self, payload: bytes, is_binary: bool) -> None:
        assert self._socket is not None, "a link sends once it is open"
        self._socket.send(payload, is_binary)

    def close(self, code: int, reason: str) -> None:
        self._is_closed = True
        if self._socket is not None:
            self._socket.close(code, reason)
