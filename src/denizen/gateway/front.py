"""What meets a new connection: reads heads, and gives it to the WebSocket side or to HTTP.

The front stays a connection's protocol as long as HTTP is spoken on it, and owns its reading, its
deadlines and its end. It passes on what the guard lets through, one request at a time. With a
WebSocket it hands the transport over and is forgotten.
"""

import asyncio
from typing import cast

from denizen.core import clock
from denizen.core.errors import DenizenError, RequestTimedOut, UpgradeRequired
from denizen.gateway import admit, cors
from denizen.gateway.answers import last_answer
from denizen.gateway.exchange import Exchange
from denizen.gateway.guard import ENDED, Guard, Phase
from denizen.gateway.handover import hand_over
from denizen.gateway.head import Head
from denizen.gateway.paths import match_connect
from denizen.gateway.shared import Shared

_UPGRADE_HEADERS = [(b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")]


class Front(asyncio.Protocol):
    """One connection while HTTP is spoken on it."""

    __slots__ = (
        "_exchange",
        "_guard",
        "_has_answer",
        "_has_eof",
        "_is_ending",
        "_is_finishing",
        "_is_handed_over",
        "_is_reading_paused",
        "_shared",
        "_stalled_until",
        "_transport",
    )

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport
        self._guard = Guard(shared.limits, clock.monotonic())
        self._exchange: Exchange | None = None
        self._has_answer = False
        self._has_eof = False
        self._is_ending = False
        self._is_finishing = False
        self._is_handed_over = False
        self._is_reading_paused = False
        self._stalled_until: float | None = None

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't derive from asyncio's, though they do all that those do.
        self._transport = cast(asyncio.Transport, transport)
        shared = self._shared
        shared.open_sockets += 1
        shared.all_ended.clear()
        shared.http_sweep.add(self)
        if shared.is_stopping or shared.open_sockets > shared.limits.sockets_max:
            self._is_ending = True
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._is_ending:
            self._guard.receive(data, clock.monotonic())
            self._advance()

    def eof_received(self) -> bool:
        """A client that has sent its request may close its side and still get the answer.

        Once the answer has begun it is taken for gone: else who left an endless stream is noticed
        only when something is written to it.
        """
        self._has_eof = True
        is_secure = self._transport.get_extra_info("sslcontext") is not None
        is_awaited = self._exchange is None or not self._exchange.has_begun_response
        is_answering = self._guard.phase is Phase.ANSWERING
        return is_answering and is_awaited and not self._is_ending and not is_secure

    def pause_writing(self) -> None:
        self._stalled_until = clock.monotonic() + self._shared.limits.idle_timeout_s
        if self._exchange is not None:
            self._exchange.pause_writing()

    def resume_writing(self) -> None:
        self._stalled_until = None
        if self._exchange is not None:
            self._exchange.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ending = True
        self._shared.http_sweep.discard(self)
        self._abandon()
        self._shared.connection_ended()

    # What the exchange calls.

    def hold(self) -> None:
        self._guard.hold(clock.monotonic())
        self._regulate()

    def release(self) -> None:
        if self._guard.held_at is not None:
            self._guard.release(clock.monotonic())
            # Not at once: the exchange may be in the middle of taking bytes.
            asyncio.get_running_loop().call_soon(self._advance)

    def response_ended(self) -> None:
        self._has_answer = True
        if self._is_ending:
            return
        if self._is_finishing:
            self._end()
        elif self._guard.phase is Phase.ANSWERING:
            self._next_request()
            if self._guard.has_waiting:
                asyncio.get_running_loop().call_soon(self._advance)

    def finish(self) -> None:
        if self._exchange is not None:
            self._exchange.flush()
        self._end()

    def refuse(self, error: DenizenError) -> None:
        """Answer with an error, unless a response has begun, and end the connection."""
        if self._is_ending:
            return
        exchange = self._exchange
        is_answered = self._has_answer or (exchange is not None and exchange.has_begun_response)
        self._abandon()
        if self._guard.phase is Phase.HEAD or not is_answered:
            self._transport.write(last_answer(error, self._refusal_headers(error)))
        self._linger()

    # What the port calls.

    def sweep(self, now: float) -> None:
        """End the connection whose deadline has passed."""
        if self._stalled_until is not None and now > self._stalled_until:
            self._transport.abort()
        elif self._guard.is_overdue(now):
            if self._is_ending:
                self._transport.abort()
            elif self._guard.phase is Phase.BODY:
                self.refuse(RequestTimedOut("The request's body didn't come in time."))
            else:
                self._transport.close()

    def stop(self) -> None:
        """Answer what is being asked, then end."""
        if self._guard.phase in (Phase.IDLE, Phase.HEAD):
            self._end()
        else:
            self._is_finishing = True

    def abort(self) -> None:
        self._transport.abort()

    # Inside.

    def _advance(self) -> None:
        """Pass on what may be passed on."""
        guard, now = self._guard, clock.monotonic()
        try:
            while not self._is_ending and guard.held_at is None:
                event = guard.next_event(now)
                if event is None:
                    break
                if isinstance(event, Head):
                    self._begin(event)
                    if self._is_handed_over:
                        return
                elif event is not ENDED:
                    self._pass(event)
                elif self._has_answer:
                    self._next_request()
        except DenizenError as error:
            self.refuse(error)
        self._regulate()

    def _begin(self, head: Head) -> None:
        self._has_answer = False
        if head.is_websocket and match_connect(head.path) is not None:
            hand_over(self._transport, head, self._guard.take_waiting(), self._shared)
            self._is_handed_over = True
            self._abandon()
            # uvloop goes on holding the first protocol's methods: leave it nothing large.
            self._guard.head = None
            self._shared.http_sweep.discard(self)
            return
        if self._exchange is None:
            self._exchange = Exchange(self._transport, self, self._shared)
        self._pass(head.without_upgrade() if head.is_upgrade else head.raw)

    def _next_request(self) -> None:
        """The request is answered: wait for the next one, or end."""
        self._guard.answered(clock.monotonic())
        if self._guard.phase is Phase.IDLE and (self._has_eof or self._shared.is_stopping):
            self._end()

    def _pass(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.data_received(data)

    def _regulate(self) -> None:
        """Stop reading while what has come can't be passed on: one read is all that ever waits."""
        guard = self._guard
        must_pause = not self._is_ending and (
            guard.held_at is not None or (guard.phase is Phase.ANSWERING and guard.has_waiting)
        )
        if must_pause != self._is_reading_paused:
            self._is_reading_paused = must_pause
            if must_pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _end(self) -> None:
        """No more is to be read: close, and let the far end read what was written."""
        if self._is_ending:
            return
        if self._guard.phase in (Phase.HEAD, Phase.BODY) or self._guard.has_waiting:
            self._linger()
        else:
            self._is_ending = True
            self._guard.linger(clock.monotonic() + self._shared.limits.idle_timeout_s)
            self._transport.close()

    def _linger(self) -> None:
        """Read and drop for a while: closing with bytes unread would destroy the last answer."""
        self._is_ending = True
        self._guard.linger(clock.monotonic() + self._shared.limits.closing_timeout_s)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._regulate()

    def _abandon(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def _refusal_headers(self, error: DenizenError) -> cors.Headers:
        headers = list(_UPGRADE_HEADERS) if isinstance(error, UpgradeRequired) else []
        head = self._guard.head
        origin = None if head is None else head.get(b"origin")
        if head is None or origin is None:
            return headers
        is_allowed = admit.allows_origin(
            self._shared.policy, origin.decode("latin-1"), head.text(b"host")
        )
        return headers + cors.answer_headers(origin if is_allowed else None)
