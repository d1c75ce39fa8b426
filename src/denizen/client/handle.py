"""What an application holds of an actor: its actions, its events, its connection."""

from collections.abc import Callable

from denizen.client.connection import Connection
from denizen.client.events import Handler
from denizen.core.address import Address
from denizen.wire.calls import ActionHints, ActorProxy


class ActorHandle(ActorProxy):
    """One actor. Its attributes are its actions: `await handle.increment(2)`.

    Handles of the same actor with the same parameters share one connection, which opens when it is
    first needed. `call`, `on`, `once`, `connect` and `disconnect` are the handle's own: actions
    with these names are reached with `call`.
    """

    __slots__ = ("_connection",)

    def __init__(
        self, where: Address, connection: Connection, hints: ActionHints | None = None
    ) -> None:
        super().__init__(where, connection, hints)
        self._connection = connection

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` with the arguments of every event of that name, from now on.

        Returns a function that takes the handler off. The connection opens, and opens again when
        it breaks, for as long as there are handlers; events sent meanwhile are missed. Handlers run
        one after the other in order of events; an async one is awaited before the next runs. What
        one raises is logged.
        """
        return self._connection.on(event, handler)

    def once(self, event: str, handler: Handler) -> Callable[[], None]:
        """Like `on`, for the next event of that name only."""
        return self._connection.on(event, handler, is_once=True)

    async def connect(self, *, timeout_s: float | None = None) -> None:
        """Open the connection now, and keep it open without calls and handlers too.

        Not needed for calls and events. Raises `NotConnected` if there is no connection within
        `timeout_s` seconds (None: the client's `call_timeout_s`); it is still tried for after that.
        A server may refuse a connection just after it has opened: the next call raises the reason.
        """
        await self._connection.open(timeout_s)

    async def disconnect(self) -> None:
        """End what `connect` asked for. The connection closes unless calls or handlers need it."""
        self._connection.release()
