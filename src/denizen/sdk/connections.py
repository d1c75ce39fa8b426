"""Who is connected to an actor, as its author sees them."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from denizen.wire import values


class Connection:
    """One client connection.

    `id` is unique; `params` is what the client sent on connecting; `state` is what
    `on_before_connect` returned, kept in memory as long as the connection lives.
    """

    __slots__ = ("_disconnect", "_send", "id", "params", "principal", "state")

    def __init__(
        self,
        connection_id: str,
        params: Any,
        principal: str,
        send: Callable[[str, str, bytes], None],
        disconnect: Callable[[str, str], None],
    ) -> None:
        self.id = connection_id
        self.params = params
        self.principal = principal
        self.state: Any = None
        self._send = send
        self._disconnect = disconnect

    def send(self, event: str, *args: Any) -> None:
        """Send an event to this connection alone, once what changed before is durable."""
        self._send(self.id, event, values.pack(list(args)))

    def disconnect(self, reason: str = "") -> None:
        """Say goodbye: the socket closes with 1000 after what was sent before."""
        self._disconnect(self.id, reason)

    def __repr__(self) -> str:
        return f"<Connection {self.id}>"


class Connections(Collection[Connection]):
    """The actor's connections, in the order in which they came; `[id]` and `get(id)` find one.

    A connection is among them from before `on_connect` until after `on_disconnect`.
    """

    __slots__ = ("_now",)

    def __init__(self, now: Callable[[], dict[str, Connection]]) -> None:
        """`now()` is who is connected at the moment, by id."""
        self._now = now

    def __getitem__(self, connection_id: str) -> Connection:
        return self._now()[connection_id]

    def get(self, connection_id: str) -> Connection | None:
        """The connection of that id, or None when it is gone."""
        return self._now().get(connection_id)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._now().values()))

    def __len__(self) -> int:
        return len(self._now())

    def __contains__(self, item: object) -> bool:
        return (item.id if isinstance(item, Connection) else item) in self._now()
