"""The gateway without sockets: a connection in memory, for the simulator and for tests.

The third adapter of `ports`, beside picows and uvicorn. Frames travel through the event loop (at
its next turn, or after a given delay), in order, so a simulated loop decides when they arrive.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from denizen.core.limits import DEFAULT, Limits
from denizen.gateway.peer import TRY_AGAIN_LATER
from denizen.gateway.ports import Actors, ClientConnection, ConnectRequest

NORMAL = 1000
TOO_BIG = 1009


class MemoryClosed(Exception):
    """The connection has ended; `code` and `reason` are the close frame's."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class MemoryPeer:
    """The client's end of a connection in memory. For the host it is the `Peer`.

    The client's side is `say`, `hear`, `leave` and `lose`. What the host sent and nobody has heard
    yet is in `frames`.
    """

    def __init__(self, limits: Limits = DEFAULT, delay_s: float = 0.0) -> None:
        self.frames: deque[tuple[bytes, bool]] = deque()
        self.closed: MemoryClosed | None = None
        self._limits = limits
        self._delay_s = delay_s
        self._connection: ClientConnection | None = None
        self._unheard_bytes = 0
        self._is_host_done = False
        self._is_client_done = False
        self._news = asyncio.Event()

    # What the host calls.

    def send(self, payload: bytes, is_binary: bool) -> None:
        """See `ports.Peer`."""
        if self._is_host_done:
            return
        self._unheard_bytes += len(payload)
        if self._unheard_bytes > self._limits.outgoing_bytes_max and self._unheard_bytes > len(
            payload
        ):
            self.close(TRY_AGAIN_LATER, "the connection reads too slowly: connect again later")
        else:
            self._later(self._arrive, payload, is_binary)

    def close(self, code: int, reason: str) -> None:
        """See `ports.Peer`."""
        if not self._is_host_done:
            self._is_host_done = True
            self._later(self._end, MemoryClosed(code, reason))

    # What the client calls.

    def say(self, payload: bytes, is_binary: bool) -> None:
        """Send one frame to the host."""
        if not self._is_client_done:
            self._later(self._deliver, payload, is_binary)

    async def hear(self, timeout_s: float) -> tuple[bytes, bool]:
        """The next frame from the host. Raises `MemoryClosed` after the last, or `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            while not self.frames and self.closed is None:
                self._news.clear()
                await self._news.wait()
        if self.frames:
            payload, is_binary = self.frames.popleft()
            self._unheard_bytes -= len(payload)
            return payload, is_binary
        assert self.closed is not None
        raise self.closed

    def leave(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye: what was said before still arrives."""
        if not self._is_client_done:
            self._is_client_done = True
            self._later(self._end, MemoryClosed(code, reason))

    def lose(self) -> None:
        """Break the connection: what was said and has not arrived is lost, in both directions."""
        self._end(MemoryClosed(1006, "the connection broke"))

    # Arrivals.

    def attach(self, connection: ClientConnection) -> None:
        """Say who stands behind the connection, once it is begun."""
        self._connection = connection

    def _later(self, arrive: Callable[..., None], *args: object) -> None:
        loop = asyncio.get_running_loop()
        if self._delay_s > 0:
            loop.call_later(self._delay_s, arrive, *args)
        else:
            loop.call_soon(arrive, *args)

    def _arrive(self, payload: bytes, is_binary: bool) -> None:
        if self.closed is None:
            self.frames.append((payload, is_binary))
            self._news.set()

    def _deliver(self, payload: bytes, is_binary: bool) -> None:
        if self._connection is None or self._is_host_done or self.closed is not None:
            return
        if len(payload) > self._limits.frame_bytes_hard_max:
            self.close(TOO_BIG, "the frame is over the hard limit")
        elif len(payload) > self._limits.frame_bytes_max:
            self._connection.receive_too_long()
        else:
            self._connection.receive(payload, is_binary)

    def _end(self, how: MemoryClosed) -> None:
        if self.closed is not None:
            return
        self.closed = how
        self._is_host_done = self._is_client_done = True
        self._news.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost()


def connect_in_memory(
    actors: Actors, request: ConnectRequest, limits: Limits = DEFAULT, delay_s: float = 0.0
) -> MemoryPeer:
    """Begin a connection in memory; each frame takes `delay_s` either way."""
    peer = MemoryPeer(limits, delay_s)
    peer.attach(actors.connect(request, peer))
    return peer
