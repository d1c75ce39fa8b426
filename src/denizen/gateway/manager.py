"""The manager endpoint: how a v1 client finds an actor by tags or id."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from denizen.core.address import DEFAULT_NAMESPACE, check_namespace
from denizen.core.errors import InvalidTags, MalformedMessage
from denizen.core.limits import Limits
from denizen.gateway.bodies import json_answer, read_body
from denizen.gateway.entrance import PRINCIPAL
from denizen.gateway.ports import Actors, TagQuery
from denizen.wire.v1.json_codec import is_too_deep


class _ById(msgspec.Struct, rename="camel"):
    actor_id: str


class _Create(msgspec.Struct):
    tags: dict[str, Any]
    region: str | None = None


class _ByTags(msgspec.Struct):
    tags: dict[str, Any]
    create: _Create | None = None


class _Query(msgspec.Struct, rename="camel"):
    get_for_id: _ById | None = None
    get_or_create_for_tags: _ByTags | None = None
    create: _Create | None = None


class _Body(msgspec.Struct):
    query: _Query


_decode = msgspec.json.Decoder(_Body).decode


def parse_query(body: bytes, namespace: str, limits: Limits) -> TagQuery:
    """The question that a request's body asks. Raises `MalformedMessage` or `InvalidTags`."""
    if is_too_deep(body, limits.nesting_max):
        raise MalformedMessage(f"The body is nested more than {limits.nesting_max} levels deep.")
    try:
        query = _decode(body).query
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"The body isn't a query: {error}.") from None
    asked = (query.get_for_id, query.get_or_create_for_tags, query.create)
    if sum(one is not None for one in asked) != 1:
        raise MalformedMessage(
            "A query is one of 'getForId', 'getOrCreateForTags' and 'create', and only one."
        )
    if query.get_for_id is not None:
        return TagQuery(namespace, get_for_id=query.get_for_id.actor_id)
    if query.create is not None:
        return TagQuery(namespace, create_tags=_tags(query.create.tags), region=query.create.region)
    by_tags = query.get_or_create_for_tags
    assert by_tags is not None
    create = by_tags.create
    return TagQuery(
        namespace,
        tags=_tags(by_tags.tags),
        create_tags=None if create is None else _tags(create.tags),
        region=None if create is None else create.region,
    )


class Manager:
    """Answers the two questions of the manager endpoint."""

    def __init__(self, actors: Actors, limits: Limits) -> None:
        self._actors = actors
        self._limits = limits

    def routes(self, prefix: str) -> list[BaseRoute]:
        """Its routes below `prefix`; a doubled slash comes from endpoints that end with one."""
        return [
            route
            for slash in ("/", "//")
            for route in (
                Route(f"{prefix}/manager{slash}rivet/config", self.config),
                Route(f"{prefix}/manager{slash}actors", self.find, methods=["POST"]),
            )
        ]

    async def config(self, request: Request) -> Response:
        return _endpoint(f"{_origin(request)}/api")

    async def find(self, request: Request) -> Response:
        namespace = check_namespace(request.path_params.get("namespace", DEFAULT_NAMESPACE))
        body = await read_body(request, self._limits.frame_bytes_max)
        query = parse_query(body, namespace, self._limits)
        address = await self._actors.resolve(query, request.scope[PRINCIPAL])
        return _endpoint(f"{_origin(request)}{address.path}")


def _origin(request: Request) -> str:
    """Scheme, host and port by which the client called: what it can call again."""
    host = request.headers.get("host")
    if not host:
        name, port = request.scope["server"]
        host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"{request.scope['scheme']}://{host}"


def _endpoint(url: str) -> Response:
    return json_answer(msgspec.json.encode({"endpoint": url}))


def _tags(tags: dict[str, Any]) -> dict[str, str]:
    wrong = next((name for name, value in tags.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise InvalidTags(f"The value of tag '{wrong}' must be text.")
    return tags
