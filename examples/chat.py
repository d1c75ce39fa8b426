"""A chat room: messages, who is here, history, and the page to use it with.

`denizen dev examples/chat.py` serves it. Each room is an actor of its own: another name in place of
`lobby` in the page's address is another room.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from denizen import Actor, Connection, UserError, action

PAGE = "/actors/chat_room/lobby/http/"

NAME_CHARACTERS_MAX = 32
TEXT_CHARACTERS_MAX = 2_000
MESSAGES_MAX = 200

_FOLDER = Path(__file__).parent / "chat"
_FILES = {
    "": ("index.html", "text/html"),
    "chat.css": ("chat.css", "text/css"),
    "chat.js": ("chat.js", "text/javascript"),
    "connection.js": ("connection.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def serve_file(request: Request) -> Response:
    """One of the page's files. They are small: reading them takes less than handing them over."""
    found = _FILES.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    name, media_type = found
    return Response((_FOLDER / name).read_bytes(), media_type=media_type, headers=_HEADERS)


class Message(msgspec.Struct):
    id: int
    name: str
    text: str
    at: datetime


class ChatState(msgspec.Struct):
    messages: list[Message] = []
    last_id: int = 0


class Room(msgspec.Struct):
    """What somebody who comes in needs to see."""

    messages: list[Message]
    here: list[str]
    text_characters_max: int = TEXT_CHARACTERS_MAX


class ChatRoom(Actor[ChatState]):
    asgi = Starlette(routes=[Route("/{name:path}", serve_file)])

    async def on_before_connect(self, params: Any) -> str:
        """The name, tidied, is the connection's state."""
        name = params.get("name") if isinstance(params, dict) else None
        if not isinstance(name, str):
            raise UserError("Say who you are: the parameters need a name.", code="name_missing")
        name = " ".join(name.split())
        if not name or not name.isprintable():
            raise UserError("A name needs letters that can be seen.", code="name_invalid")
        if len(name) > NAME_CHARACTERS_MAX:
            raise UserError(
                f"A name has at most {NAME_CHARACTERS_MAX} characters.", code="name_invalid"
            )
        return name

    async def on_connect(self, connection: Connection) -> None:
        self.broadcast("here", self._here())

    async def on_disconnect(self, connection: Connection) -> None:
        self.broadcast("here", self._here(without=connection))

    @action
    async def enter(self) -> Room:
        """The room as it is now. Subscribe to `said` and `here` before, to miss nothing."""
        return Room(messages=self.state.messages, here=self._here())

    @action
    async def say(self, text: str) -> int:
        """Say something to all who are here; the message's id."""
        if self.caller is None:
            raise UserError("Connect with a name to say something.", code="name_missing")
        text = text.strip()
        if not text:
            raise UserError("A message needs some text.", code="text_missing")
        if len(text) > TEXT_CHARACTERS_MAX:
            raise UserError(
                f"A message has at most {TEXT_CHARACTERS_MAX:,} characters.", code="text_too_long"
            )
        self.state.last_id += 1
        message = Message(self.state.last_id, self.caller.state, text, datetime.now(UTC))
        self.state.messages.append(message)
        del self.state.messages[:-MESSAGES_MAX]
        self.broadcast("said", message)
        return message.id

    def _here(self, without: Connection | None = None) -> list[str]:
        """The names of all who are connected, each once, in order of arrival."""
        names = (other.state for other in self.connections if other is not without)
        return list(dict.fromkeys(names))
