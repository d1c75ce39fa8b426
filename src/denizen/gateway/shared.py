"""What all connections of one port have in common: built by `listen`, read by all below it."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from denizen.core.limits import Limits
from denizen.gateway.admit import Policy
from denizen.gateway.cork import Cork
from denizen.gateway.ports import Actors
from denizen.gateway.sweep import Sweep, Swept

_SWEEP_MAX_S = 1.0
_SOCKET_ROUND_MAX_S = 5.0


class Shared:
    """The port's parts. `open_sockets` counts every connection, whatever it has become."""

    def __init__(self, actors: Actors, policy: Policy, limits: Limits, app: Any) -> None:
        self.actors = actors
        self.policy = policy
        self.limits = limits
        self.cork = Cork()
        self.open_sockets = 0
        self.all_ended = asyncio.Event()
        self.is_stopping = False
        self.uvicorn_config = _config(app)
        self.uvicorn_state = ServerState()
        http_s = (limits.head_timeout_s, limits.body_timeout_s, limits.idle_timeout_s)
        socket_s = (limits.ping_after_s, limits.silence_timeout_s, limits.closing_timeout_s)
        self.http_sweep = Sweep(min(_SWEEP_MAX_S, *(wait_s / 4 for wait_s in http_s)))
        self.socket_sweep = Sweep(
            min(_SOCKET_ROUND_MAX_S, *(wait_s / 2 for wait_s in socket_s)), shares=5
        )

    def socket_lost(self, socket: Swept) -> None:
        """A WebSocket has ended."""
        self.socket_sweep.discard(socket)
        self.connection_ended()

    def connection_ended(self) -> None:
        """A connection has ended, whatever it had become."""
        self.open_sockets -= 1
        if not self.open_sockets:
            self.all_ended.set()


def _config(app: Any) -> Config:
    """uvicorn's settings: it parses and runs ASGI, every limit and timer is ours."""
    config = Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    return config
