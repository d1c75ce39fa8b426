"""The composition root: builds the roles of one process from its options and starts them.

It alone knows every room. A process of this stage is a server with one host in it: store, state, host with
the Python runtime, gateway.
"""

import ssl as ssl_module
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import msgspec

from denizen.core.limits import DEFAULT, Limits
from denizen.gateway import admit
from denizen.gateway.admit import Policy
from denizen.gateway.listen import Listener
from denizen.host.host import Host
from denizen.host.runtimes.python import PythonRuntime
from denizen.sdk.actor import Actor
from denizen.state.service import StateService
from denizen.store import Store, open_store
from denizen.store.sqlite import SWITCH_INTERVAL_S
from denizen.telemetry import logs
from denizen.wire.runtime import Runtime


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What one process serves, and where.

    allowed_hosts, allowed_origins: who may call beside this machine's own; `*` is any.
    """

    store_url: str
    host: str = "127.0.0.1"
    port: int = 7420
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    limits: Limits = DEFAULT


class Server:
    """One running process. `async with Server(options, classes) as server:`."""

    def __init__(
        self,
        options: Options,
        classes: Iterable[type[Actor[Any]]],
        *,
        policy: Policy | None = None,
        store: Store | None = None,
        runtime: Runtime | None = None,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        """`store` and `runtime` replace what the options name: the simulator's way in."""
        self._options = options
        self._policy = policy or admit.dev(
            hosts=options.allowed_hosts, origins=options.allowed_origins
        )
        self._runtime = runtime or PythonRuntime(classes, options.limits)
        self._store = store
        self._ssl = ssl
        self._state: StateService | None = None
        self.host: Host | None = None
        self._listener: Listener | None = None

    @property
    def port(self) -> int:
        """The port that is open."""
        assert self._listener is not None, "the server isn't started"
        return self._listener.port

    @property
    def url(self) -> str:
        """Where clients reach it."""
        scheme = "http" if self._ssl is None else "https"
        host = self._options.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Open the store, then the port. Raises what either says and leaves nothing open."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        options = self._options
        try:
            if self._store is None:
                self._store = await open_store(options.store_url)
            self._state = StateService(self._store, options.limits)
            self._state.start()
            self.host = Host(self._runtime, self._state, options.limits)
            self._listener = Listener(
                self.host,
                self._policy,
                options.limits,
                host=options.host,
                port=options.port,
                ssl=self._ssl,
            )
            await self._listener.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, grace_s: float = 5.0) -> None:
        """Close the port, end the actors, close the store. What was acknowledged is durable before."""
        listener, self._listener = self._listener, None
        host, self.host = self.host, None
        state, self._state = self._state, None
        store, self._store = self._store, None
        if host is not None:
            host.dismiss_connections()
        if listener is not None:
            await listener.stop(grace_s)
        if host is not None:
            await host.stop()
        if state is not None:
            await state.close()
        if store is not None:
            await store.close()

    async def __aenter__(self) -> "Server":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


def log_to_stderr(*, json: bool = False) -> None:
    """Send the process's log lines to standard error: as text, or each as a JSON object."""
    logs.configure(json=json)
