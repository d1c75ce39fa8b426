"""Opens the port and closes it: the gateway's own composition root."""

import asyncio
import ssl as ssl_module
from types import TracebackType

from denizen.core.errors import PortUnavailable
from denizen.core.limits import DEFAULT, Limits
from denizen.gateway.admit import Policy
from denizen.gateway.answers import date_header
from denizen.gateway.front import Front
from denizen.gateway.http import Region, make_app
from denizen.gateway.ports import Actors
from denizen.gateway.shared import Shared
from denizen.gateway.websocket import SocketListener
from denizen.telemetry import logs

MOVING = 1012
LOCAL = Region("local", "Local")
_BACKLOG = 2_048
_log = logs.get("gateway")


class Listener:
    """One open port for WebSocket and HTTP, plain or (with an SSL context) TLS.

    `async with Listener(…)` starts and stops it; port 0 lets the system choose one.
    """

    def __init__(
        self,
        actors: Actors,
        policy: Policy,
        limits: Limits = DEFAULT,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl: ssl_module.SSLContext | None = None,
        region: Region = LOCAL,
    ) -> None:
        self._shared = Shared(actors, policy, limits, make_app(actors, policy, limits, region))
        self._host = host
        self._asked_port = port
        self._ssl = ssl
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is open."""
        assert self._server is not None, "the listener isn't started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def open_sockets(self) -> int:
        """How many connections are open, WebSocket and HTTP together."""
        return self._shared.open_sockets

    async def start(self) -> None:
        """Open the port. Raises `PortUnavailable`."""
        shared = self._shared
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Front(shared),
                self._host,
                self._asked_port,
                ssl=self._ssl,
                backlog=_BACKLOG,
                ssl_handshake_timeout=None if self._ssl is None else shared.limits.head_timeout_s,
                ssl_shutdown_timeout=None if self._ssl is None else shared.limits.closing_timeout_s,
            )
        except OSError as error:
            raise PortUnavailable(
                f"Port {self._asked_port} of {self._host} can't be opened "
                f"({error.strerror or error}): stop what uses it, or choose another port."
            ) from None
        shared.http_sweep.add(_Dating(shared))
        shared.http_sweep.start()
        shared.socket_sweep.start()
        shared.uvicorn_state.default_headers = [date_header()]

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no more connections, let running requests end, cut off what is left after `grace_s`.

        WebSockets are closed with 1012: their clients connect again, elsewhere.
        """
        server, self._server = self._server, None
        if server is None:
            return
        shared = self._shared
        shared.is_stopping = True
        server.close()
        for member in [*shared.http_sweep.members(), *shared.socket_sweep.members()]:
            if isinstance(member, Front):
                member.stop()
            elif isinstance(member, SocketListener):
                member.peer.close(MOVING, "the server is stopping: connect again")
        if not await self._have_all_ended(grace_s):
            _log.warning("connections were cut off", count=shared.open_sockets)
            for member in [*shared.http_sweep.members(), *shared.socket_sweep.members()]:
                if isinstance(member, Front):
                    member.abort()
                elif isinstance(member, SocketListener):
                    member.peer.abort()
            for task in tuple(shared.uvicorn_state.tasks):
                task.cancel("the server is stopping")
            await self._have_all_ended(shared.limits.closing_timeout_s)
        shared.http_sweep.stop()
        shared.socket_sweep.stop()

    async def __aenter__(self) -> "Listener":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _have_all_ended(self, wait_s: float) -> bool:
        if self._shared.open_sockets:
            try:
                await asyncio.wait_for(self._shared.all_ended.wait(), wait_s)
            except TimeoutError:
                return False
        return True


class _Dating:
    """Keeps the Date header of uvicorn's answers at the present second."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def sweep(self, now: float) -> None:
        self._shared.uvicorn_state.default_headers = [date_header()]
