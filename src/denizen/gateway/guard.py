"""What one HTTP connection may send: judged before a parser that isn't ours sees a byte of it.

Theory of operation. Bytes go in with `receive`, events come out of `next_event`: a `Head`, then
pieces of body (raw, as they came), then `ENDED`; after that nothing until `answered` says that the
response has left. So one request at a time passes, whatever the client pipelines, and what waits
is at most one read, since the owner stops reading while something waits.

    IDLE ─first byte─▶ HEAD ─empty line─▶ BODY ─last byte─▶ ANSWERING ─answered─▶ IDLE

IDLE, HEAD and BODY each have a deadline, on every request of a kept connection; ANSWERING belongs
to whoever answers. Pure: the clock's readings are handed in, what is over a limit is raised.
"""

from enum import Enum

from denizen.core.errors import HeadTooLarge, MalformedMessage, MessageTooLong, TooManyRequests
from denizen.core.limits import Limits
from denizen.gateway.chunks import ChunkScanner
from denizen.gateway.head import END, Head, has_bare_line_feed, parse_head


class Phase(Enum):
    """Whose turn it is on the connection."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    ANSWERING = "answering"


class Ended(Enum):
    """The event that closes a request."""

    ENDED = "ended"


ENDED = Ended.ENDED


class Guard:
    """The judge of one connection's requests."""

    __slots__ = (
        "_chunks",
        "_deadline_at",
        "_left",
        "_limits",
        "_requests",
        "_scanned",
        "_second_began_at",
        "_waiting",
        "head",
        "held_at",
        "phase",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self.phase = Phase.IDLE
        # The head of the current request, once it has been read.
        self.head: Head | None = None
        self.held_at: float | None = None
        self._limits = limits
        self._waiting = bytearray()
        self._scanned = 0
        self._left = 0
        self._chunks: ChunkScanner | None = None
        # A new connection owes a head; only a kept one may idle.
        self._deadline_at: float | None = now + limits.head_timeout_s
        self._second_began_at = now
        self._requests = 0

    @property
    def has_waiting(self) -> bool:
        """Whether bytes have come that can't be passed on now."""
        return bool(self._waiting)

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have come."""
        self._waiting += data
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEAD, now + self._limits.head_timeout_s)

    def next_event(self, now: float) -> Head | bytes | Ended | None:
        """What may be passed on next; None while more must come first.

        Raises `HeadTooLarge`, `MalformedMessage`, `MethodNotAllowed`, `MessageTooLong` or
        `TooManyRequests`; the connection is then to be answered and closed.
        """
        if self.phase is Phase.HEAD:
            return self._next_head(now)
        if self.phase is Phase.BODY:
            return self._next_body()
        return None

    def answered(self, now: float) -> None:
        """The response has left: the next request may pass."""
        if self._waiting:
            self._enter(Phase.HEAD, now + self._limits.head_timeout_s)
        else:
            self._enter(Phase.IDLE, now + self._limits.idle_timeout_s)

    def hold(self, now: float) -> None:
        """The reader behind can't take more: time stands still for the sender."""
        if self.held_at is None:
            self.held_at = now

    def release(self, now: float) -> None:
        """The reader behind takes bytes again."""
        if self.held_at is not None and self._deadline_at is not None:
            self._deadline_at += now - self.held_at
        self.held_at = None

    def is_overdue(self, now: float) -> bool:
        """Whether the client has let its deadline pass."""
        return self._deadline_at is not None and self.held_at is None and now > self._deadline_at

    def linger(self, deadline_at: float) -> None:
        """Nothing more is to be passed on; the client has until then to end the connection."""
        self.held_at = None
        self._waiting.clear()
        self._enter(Phase.ANSWERING, deadline_at)

    def take_waiting(self) -> bytes:
        """Everything that came after the head: for whoever takes the connection over."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken

    def _enter(self, phase: Phase, deadline_at: float | None) -> None:
        self.phase = phase
        self._deadline_at = deadline_at

    def _next_head(self, now: float) -> Head | None:
        if not self._scanned and self._waiting.startswith(b"\r\n"):
            # Some clients end a body with an empty line too many; one is passed over.
            del self._waiting[:2]
        self.head = None
        limit = self._limits.head_bytes_max
        end = self._waiting.find(END, max(self._scanned - len(END), 0))
        size = len(self._waiting) if end < 0 else end + len(END)
        if size > limit:
            raise HeadTooLarge(f"A request's head has at most {limit} bytes.")
        if has_bare_line_feed(self._waiting[:size], self._scanned):
            raise MalformedMessage("Lines of a request's head must end with CR LF.")
        if end < 0:
            self._scanned = size
            return None
        raw = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._scanned = 0
        self.head = head = parse_head(raw)
        self._count(now)
        self._begin_body(head, now)
        return head

    def _count(self, now: float) -> None:
        if now - self._second_began_at >= 1.0:
            self._second_began_at = now
            self._requests = 0
        self._requests += 1
        if self._requests > self._limits.requests_per_second_max:
            limit = self._limits.requests_per_second_max
            raise TooManyRequests(f"A connection may send {limit} requests a second.")

    def _begin_body(self, head: Head, now: float) -> None:
        if head.content_length > self._limits.body_bytes_max:
            raise self._too_long()
        self._left = head.content_length
        self._chunks = ChunkScanner() if head.is_chunked else None
        self._enter(Phase.BODY, now + self._limits.body_timeout_s)

    def _next_body(self) -> bytes | Ended | None:
        if self._chunks is not None:
            return self._next_chunks(self._chunks)
        if not self._left:
            self._enter(Phase.ANSWERING, None)
            return ENDED
        taken = bytes(self._waiting[: self._left])
        del self._waiting[: self._left]
        self._left -= len(taken)
        return taken or None

    def _next_chunks(self, chunks: ChunkScanner) -> bytes | Ended | None:
        if chunks.has_ended:
            self._chunks = None
            self._enter(Phase.ANSWERING, None)
            return ENDED
        taken = chunks.take(self._waiting)
        if chunks.carried > self._limits.body_bytes_max:
            raise self._too_long()
        return taken or None

    def _too_long(self) -> MessageTooLong:
        return MessageTooLong(f"A body has at most {self._limits.body_bytes_max} bytes.")
