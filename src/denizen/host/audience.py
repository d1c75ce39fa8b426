"""Who listens to an actor: its connections, and how events reach them."""

from typing import Any, Protocol

from denizen.core.errors import DenizenError, TooManyConnections
from denizen.wire.runtime import Event
from denizen.wire.v1.codec import Codec

_CRASHED = 1011


class Listener(Protocol):
    """One connection, as its actor sees it."""

    id: str
    codec: Codec
    subscriptions: set[str]

    def send_event(self, name: str, args: bytes) -> None: ...

    def send_frame(self, frame: bytes) -> None: ...

    def say_goodbye(self, code: int, reason: str) -> None: ...


class Audience:
    """The connections of one actor, by id, in the order in which they came."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        # Made when first needed: an idle actor is to be small.
        self._listeners: dict[str, Listener] | None = None

    def join(self, listener: Listener, listeners_max: int) -> None:
        """Take one in. Raises `TooManyConnections`."""
        if self._listeners is None:
            self._listeners = {}
        if len(self._listeners) >= listeners_max:
            raise TooManyConnections(
                "The actor has as many connections as it may: try again later."
            )
        self._listeners[listener.id] = listener

    def leave(self, listener: Listener) -> None:
        """One has gone."""
        listeners = self._listeners
        if listeners:
            listeners.pop(listener.id, None)
            if not listeners:
                self._listeners = None

    def has(self, somebody: object) -> bool:
        """Whether somebody is one of them."""
        return any(somebody is listener for listener in (self._listeners or {}).values())

    def deliver(self, event: Event) -> None:
        """Send an event to who is named in it, or to all who subscribed; encoded once an encoding."""
        listeners = self._listeners
        if not listeners:
            return
        if event.connection_id is not None:
            target = listeners.get(event.connection_id)
            if target is not None:
                target.send_event(event.name, event.args)
            return
        frames: dict[Any, bytes] = {}
        for listener in listeners.values():
            if event.name in listener.subscriptions:
                codec = listener.codec
                frame = frames.get(codec)
                if frame is None:
                    frame = frames[codec] = codec.encode_event(event.name, event.args)
                listener.send_frame(frame)

    def say_goodbye(self, connection_id: str, code: int, reason: str) -> None:
        """Close one of them, if it is still there."""
        target = (self._listeners or {}).get(connection_id)
        if target is not None:
            target.say_goodbye(code, reason)

    def dismiss(self, error: DenizenError) -> None:
        """Close all with the code for this error."""
        listeners, self._listeners = self._listeners, None
        for listener in list((listeners or {}).values()):
            listener.say_goodbye(error.close_code or _CRASHED, error.code)
