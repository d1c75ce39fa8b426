"""The routes of the HTTP side: plain calls, actors' own apps, health, regions.

Routes match the raw path (`raw_routes`), so a key is one segment whatever it is made of.
"""

from typing import Any, cast
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from denizen.core.errors import (
    MethodNotAllowed,
    Overloaded,
    RouteNotFound,
    UpgradeRequired,
)
from denizen.core.limits import Limits
from denizen.gateway.admit import Policy
from denizen.gateway.answers import error_body, error_headers
from denizen.gateway.bodies import json_answer, read_body
from denizen.gateway.entrance import PRINCIPAL, Entrance
from denizen.gateway.manager import Manager
from denizen.gateway.paths import address_of, decode_segment
from denizen.gateway.ports import Actors, ASGIReceive
from denizen.wire.v1.json_codec import decode_json_args, encode_json_value

_ACTOR = "/actors/{type}/{key}"
_DECODED_PATH = "denizen.path"


class Region(msgspec.Struct, frozen=True):
    """A place where actors live."""

    id: str
    name: str


def make_app(actors: Actors, policy: Policy, limits: Limits, region: Region) -> ASGIApp:
    """The ASGI app of the port."""
    calls = Calls(actors, limits)
    manager = Manager(actors, limits)
    world = World(actors, region)
    own_app = OwnApp(actors, limits)
    # Calls first: routes are tried in order.
    routes: list[BaseRoute] = []
    for prefix in ("", "/ns/{namespace}"):
        actor = prefix + _ACTOR
        routes += [
            Route(f"{actor}/rpc/{{action}}", calls.call, methods=["POST"]),
            Route(f"{actor}/connect", calls.connect_without_upgrade),
            Route(f"{actor}/http", own_app),
            Route(f"{actor}/http/{{rest:path}}", own_app),
            *manager.routes(prefix),
        ]
    routes += [
        Route("/health", world.health),
        Route("/regions/resolve", world.recommended),
        Route("/api/regions/resolve", world.recommended),
        Route("/api/regions", world.all),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Entrance, policy=policy)],
        exception_handlers={HTTPException: _answer_routing_error},
    )
    app.router.redirect_slashes = False
    return RawPaths(app)


class RawPaths:
    """Lets the router see the path as it was sent; the decoded one is kept beside it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = {"path": scope["raw_path"].decode("ascii"), _DECODED_PATH: scope["path"]}
        await self._app({**scope, **raw}, receive, send)


class Calls:
    """Plain calls of actions."""

    def __init__(self, actors: Actors, limits: Limits) -> None:
        self._actors = actors
        self._limits = limits

    async def call(self, request: Request) -> Response:
        address = address_of(request.path_params, self._limits)
        action = decode_segment(request.path_params["action"])
        body = await read_body(request, self._limits.frame_bytes_max)
        args = decode_json_args(body, self._limits)
        packed = await self._actors.call(address, action, args, request.scope[PRINCIPAL])
        return json_answer(b'{"output":%b}' % encode_json_value(packed))

    async def connect_without_upgrade(self, request: Request) -> Response:
        refusal = UpgradeRequired("This path is for WebSocket connections: ask for an upgrade.")
        headers = {"upgrade": "websocket", "connection": "upgrade"}
        return json_answer(error_body(refusal), refusal.status, headers)


class OwnApp:
    """An actor's own ASGI app, at whatever method, under the actor's `http/`."""

    def __init__(self, actors: Actors, limits: Limits) -> None:
        self._actors = actors
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope["path"]
        params = scope["path_params"]
        if "rest" not in params:
            # Relative links of a page work only below a path that ends with a slash.
            await RedirectResponse(f"{raw_path}/", 307)(scope, receive, send)
            return
        address = address_of(params, self._limits)
        raw_root = raw_path[: len(raw_path) - len(params["rest"]) - 1]
        rebased = {key: value for key, value in scope.items() if key not in _OURS}
        rebased |= {"path": scope[_DECODED_PATH], "root_path": unquote(raw_root)}
        # Starlette's types say that messages are mappings; uvicorn's are dicts.
        receive_dict = cast(ASGIReceive, receive)
        await self._actors.asgi(address, scope[PRINCIPAL], rebased, receive_dict, send)


_OURS = frozenset(
    {PRINCIPAL, _DECODED_PATH, "path_params", "endpoint", "router", "app", "route", "app_root_path"}
)


class World:
    """What isn't about one actor."""

    def __init__(self, actors: Actors, region: Region) -> None:
        self._actors = actors
        self._region = region

    async def health(self, request: Request) -> Response:
        if self._actors.is_ready():
            return json_answer(b'{"status":"ok"}')
        refusal = Overloaded("Calls can't be served now: try again in a moment.")
        headers = {name.decode(): value.decode() for name, value in error_headers(refusal)}
        return json_answer(error_body(refusal), refusal.status, headers)

    async def all(self, request: Request) -> Response:
        return json_answer(msgspec.json.encode({"regions": [self._region]}))

    async def recommended(self, request: Request) -> Response:
        return json_answer(msgspec.json.encode({"region": self._region}))


async def _answer_routing_error(request: Request, error: Any) -> Response:
    refusal = (
        MethodNotAllowed("The path isn't served for that method: see the Allow header.")
        if error.status_code == MethodNotAllowed.status
        else RouteNotFound("Nothing is served at that path.")
    )
    return json_answer(error_body(refusal), refusal.status, error.headers)
