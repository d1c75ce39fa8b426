"""How an actor's code reaches other actors: each call is an output, answered by the host."""

from typing import TYPE_CHECKING, Any

from denizen.core.address import Address
from denizen.core.limits import DEFAULT
from denizen.host.runtimes.python.turns import current
from denizen.wire import values
from denizen.wire.calls import CallTransport
from denizen.wire.runtime import Request

if TYPE_CHECKING:
    from denizen.host.runtimes.python.body import PythonBody


class Outgoing(CallTransport):
    """The way from one actor to another."""

    __slots__ = ("_body", "_where")

    def __init__(self, body: "PythonBody", where: Address) -> None:
        self._body = body
        self._where = where

    async def call(self, action: str, args: list[Any], timeout_s: float | None) -> Any:
        """Call through the host, which also sees to the deadline of the action that makes the call."""
        activity = current.get()
        timeout = DEFAULT.action_timeout_s if timeout_s is None else timeout_s
        made_by = None if activity is None else activity.id
        where, packed = self._where, values.pack(args)
        return await self._body.request_output(
            lambda request_id: Request(
                request_id, made_by, where.type, where.key, where.actor_id, action, packed, timeout
            )
        )
