"""Plain HTTP and the manager endpoint, by status, code and body."""

import asyncio
from typing import Any

import httpx
import pytest

from denizen.core.entropy import new_id
from denizen.core.limits import Limits
from denizen.store.memory import MemoryStore
from denizen.store.memory.faults import Faults
from denizen.testing.system import System, running
from tests.protocol.actors import ACTORS
from tests.protocol.raw import seen

ORIGIN = {"Origin": "http://localhost:3000"}


def client(system: System) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=system.url, timeout=10)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) - {"metadata"} == {"code", "message"}
    assert isinstance(body["message"], str)
    assert "secret" not in answer.text
    return answer.status_code, seen(body["code"])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"args":[2]}', {}),
        (b'{"args":[2]}', {"content-type": "application/x-www-form-urlencoded"}),
        (b' {"args" : [2], "more": {}} ', {"content-type": "application/json"}),
    ],
)
async def test_a_call(body: bytes, headers: dict[str, str]) -> None:
    async with running(ACTORS) as system, client(system) as http:
        answer = await http.post("/actors/counter/a/rpc/increment", content=body, headers=headers)
        assert (answer.status_code, answer.text) == (200, '{"output":2}')


async def test_no_body_and_none_of_args_mean_no_arguments() -> None:
    async with running(ACTORS) as system, client(system) as http:
        for content, count in ((b"", 1), (b"{}", 2), (b'{"args":[]}', 3)):
            answer = await http.post("/actors/counter/a/rpc/increment", content=content)
            assert answer.json() == {"output": count}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("-", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a%2Cb", ["a,b"]),
        ("a%2Fb", ["a/b"]),
        ("%7Ea", ["~a"]),
        ("%2D", ["-"]),
        ("%C3%A4,", ["ä", ""]),
        ("a%20b", ["a b"]),
    ],
)
async def test_the_key_in_a_path(path: str, key: list[str]) -> None:
    async with running(ACTORS) as system, client(system) as http:
        answer = await http.post(f"/actors/room/{path}/rpc/who_am_i")
        told = answer.json()["output"]
        assert told["key"] == key
        again = await http.post(f"/actors/room/~{told['id']}/rpc/who_am_i")
        assert again.json()["output"]["id"] == told["id"]


async def test_namespaces_are_apart() -> None:
    async with running(ACTORS) as system, client(system) as http:
        for prefix in ("", "/ns/other"):
            answer = await http.post(f"{prefix}/actors/counter/a/rpc/increment")
            assert answer.json() == {"output": 1}
        answer = await http.post("/ns/default/actors/counter/a/rpc/increment")
        assert answer.json() == {"output": 2}


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("/actors/nothing/a/rpc/x", b"", 404, "actor_type_not_found"),
        (f"/actors/counter/~{new_id()}/rpc/read", b"", 404, "actor_not_found"),
        ("/actors/explicit/a/rpc/increment", b"", 404, "actor_not_found"),
        ("/actors/counter/a/rpc/nope", b"", 404, "rpc_not_found"),
        ("/actors/counter/a/rpc/__init__", b"", 404, "rpc_not_found"),
        ("/actors/counter/a/rpc/on_start", b"", 404, "rpc_not_found"),
        ("/actors/counter/a/rpc/increment", b'{"args":["x"]}', 400, "invalid_arguments"),
        ("/actors/counter/a/rpc/increment", b'{"args":[1,2]}', 400, "invalid_arguments"),
        ("/actors/counter/a/rpc/increment", b"{", 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b'{"args":{}}', 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b"[1]", 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b"\xff", 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b"[" * 60_000, 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b'{"args":[1e400]}', 400, "malformed_message"),
        ("/actors/counter/a/rpc/increment", b" " * 65_537, 413, "message_too_long"),
        ("/actors/counter/~5/rpc/read", b"", 400, "invalid_key"),
        ("/actors/counter/%FF/rpc/read", b"", 400, "invalid_key"),
        (f"/actors/counter/{'x' * 1_025}/rpc/read", b"", 400, "invalid_key"),
        ("/actors/counter/" + ",".join("x" * 17) + "/rpc/read", b"", 400, "invalid_key"),
        ("/ns/NO/actors/counter/a/rpc/read", b"", 400, "invalid_namespace"),
        ("/actors/broken/a/rpc/refuse_plainly", b"", 400, "user_error"),
        ("/actors/broken/a/rpc/bug", b"", 500, "internal_error"),
        ("/actors/broken/a/rpc/return_strange", b"", 500, "result_unsendable"),
        ("/actors/book/a/rpc/store_strange", b'{"args":["object"]}', 500, "state_unstorable"),
        ("/actors/book/a/rpc/fill", b'{"args":[60000]}', 413, "state_too_large"),
        ("/actors/stubborn/a/rpc/change_then_sleep", b"", 408, "rpc_timed_out"),
        ("/actors/loop/a/rpc/alone", b'{"args":[["a.beside"]]}', 409, "call_cycle"),
        ("/actors/nervous/raises/rpc/read", b"", 500, "internal_error"),
        ("/nowhere", b"", 404, "not_found"),
        ("/actors/counter/a/http/", b"", 404, "not_found"),
        ("/health", b"", 405, "method_not_allowed"),
        ("/actors/counter/a/connect", b"", 405, "method_not_allowed"),
        ("/manager/actors", b"{}", 400, "malformed_message"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_what_is_refused(path: str, content: bytes, status: int, code: str) -> None:
    async with (
        running(ACTORS, limits=Limits(state_bytes_max=50_000)) as system,
        client(system) as http,
    ):
        answer = await http.post(path, content=content, headers=ORIGIN)
        assert error_of(answer) == (status, code)
        assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        fine = await http.post("/actors/counter/fine/rpc/increment")
        assert fine.json() == {"output": 1}


async def test_a_connection_without_an_upgrade() -> None:
    async with running(ACTORS) as system, client(system) as http:
        answer = await http.get("/actors/counter/a/connect")
        assert error_of(answer) == (426, "upgrade_required")


async def test_a_user_error_has_its_metadata() -> None:
    async with running(ACTORS) as system, client(system) as http:
        answer = await http.post("/actors/broken/a/rpc/refuse", json={"args": [{"left": 0}]})
        assert answer.status_code == 400
        assert answer.json() == {
            "code": "no_milk",
            "message": "out of milk",
            "metadata": {"left": 0},
        }


async def test_try_again_later_says_when() -> None:
    faults = Faults()
    async with (
        running(ACTORS, store=MemoryStore(faults), limits=Limits(calls_per_actor_max=1)) as system,
        client(system) as http,
    ):
        path = "/actors/counter/a/rpc/increment"
        assert (await http.post(path)).json() == {"output": 1}
        system.store.hold()
        held = asyncio.ensure_future(http.post(path))
        await system.store.until_held()
        answer = await http.post(path)
        assert error_of(answer) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        faults.unavailable = 1.0
        system.store.release()
        answer = await held
        assert error_of(answer) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"
        faults.unavailable = 0.0
        assert (await http.post(path)).json() == {"output": 2}


async def test_a_destroyed_actor() -> None:
    async with running(ACTORS) as system, client(system) as http:
        told = (await http.post("/actors/room/a/rpc/who_am_i")).json()["output"]
        assert (await http.post("/actors/room/a/rpc/end")).json() == {"output": "ended"}
        by_id = f"/actors/room/~{told['id']}/rpc/who_am_i"
        assert error_of(await http.post(by_id)) == (404, "actor_destroyed")
        query = {"query": {"getForId": {"actorId": told["id"]}}}
        assert error_of(await http.post("/manager/actors", json=query)) == (404, "actor_destroyed")


async def test_a_foreign_host_name_or_origin() -> None:
    async with running(ACTORS) as system, client(system) as http:
        path = "/actors/counter/a/rpc/increment"
        answer = await http.post(path, headers={"Host": "evil.example"})
        assert error_of(answer) == (403, "forbidden")
        answer = await http.post(path, headers={"Origin": "https://evil.example"})
        assert error_of(answer) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers
        assert (await http.post(path)).json() == {"output": 1}


async def test_health_and_regions() -> None:
    async with running(ACTORS) as system, client(system) as http:
        region = {"id": "local", "name": "Local"}
        assert (await http.get("/health")).status_code == 200
        for path in ("/regions/resolve", "/api/regions/resolve?project=p&environment=e"):
            assert (await http.get(path)).json() == {"region": region}
        assert (await http.get("/api/regions")).json() == {"regions": [region]}


# The manager endpoint.


async def ask(http: httpx.AsyncClient, query: Any, path: str = "/manager/actors") -> httpx.Response:
    return await http.post(path, json={"query": query})


async def test_config_and_a_doubled_slash() -> None:
    async with running(ACTORS) as system, client(system) as http:
        for path in ("/manager/rivet/config", "/manager//rivet/config"):
            answer = await http.get(path, headers={"content-type": "application/json", **ORIGIN})
            assert answer.json() == {"endpoint": f"{system.url}/api"}
            assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        query = {
            "getOrCreateForTags": {
                "tags": {"name": "counter"},
                "create": {"tags": {"name": "counter"}},
            }
        }
        first = (await ask(http, query)).json()
        assert (await ask(http, query, "/manager//actors")).json() == first


async def test_get_or_create_and_create_and_get() -> None:
    async with running(ACTORS) as system, client(system) as http:
        tags = {"name": "room", "who": "ann"}
        create = {"tags": tags, "region": "local"}
        both = {"getOrCreateForTags": {"tags": tags, "create": create}}
        only_get = {"getOrCreateForTags": {"tags": {"name": "room", "who": "bob"}}}
        answers = await asyncio.gather(*(ask(http, both) for _ in range(10)))
        (endpoint,) = {answer.json()["endpoint"] for answer in answers}
        assert endpoint.startswith(f"{system.url}/actors/room/~")
        told = (await http.post(f"{endpoint}/rpc/who_am_i")).json()["output"]
        assert told["tags"] == tags
        assert (await ask(http, {"getOrCreateForTags": {"tags": {"name": "room"}}})).json() == {
            "endpoint": endpoint
        }
        assert (await ask(http, {"getForId": {"actorId": told["id"]}})).json() == {
            "endpoint": endpoint
        }
        other = (await ask(http, {"create": create})).json()["endpoint"]
        assert other != endpoint
        assert (await ask(http, both)).json()["endpoint"] == endpoint
        assert error_of(await ask(http, only_get)) == (404, "actor_not_found")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"create": {"tags": {"name": "nothing"}}}, 404, "actor_type_not_found"),
        ({"create": {"tags": {}}}, 400, "invalid_tags"),
        ({"create": {"tags": {"name": 5}}}, 400, "invalid_tags"),
        ({"create": {"tags": {"name": "room", "k": "x" * 1_025}}}, 400, "invalid_tags"),
        ({"create": {"tags": {"name": "room", "k" * 33: "x"}}}, 400, "invalid_tags"),
        (
            {"create": {"tags": {"name": "room", **{str(n): "" for n in range(8)}}}},
            400,
            "invalid_tags",
        ),
        ({"getOrCreateForTags": {"tags": {"x": "y"}}}, 400, "invalid_tags"),
        ({"getForId": {"actorId": "zzz"}}, 404, "actor_not_found"),
        ({"getForId": {"actorId": new_id()}}, 404, "actor_not_found"),
        ({"getForId": {}}, 400, "malformed_message"),
        ({}, 400, "malformed_message"),
        (
            {"create": {"tags": {"name": "room"}}, "getForId": {"actorId": "x"}},
            400,
            "malformed_message",
        ),
        ({"create": {"tags": ["name"]}}, 400, "malformed_message"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_queries_that_are_refused(query: Any, status: int, code: str) -> None:
    async with running(ACTORS) as system, client(system) as http:
        assert error_of(await ask(http, query)) == (status, code)


@pytest.mark.parametrize("path", ["/manager/actors", "/manager/rivet/config", "/regions/resolve"])
async def test_the_preflight_of_a_browser(path: str) -> None:
    async with running(ACTORS) as system, client(system) as http:
        asked = {
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = await http.options(path, headers=asked)
        assert answer.status_code in range(200, 300)
        allowed = answer.headers["access-control-allow-methods"]
        assert {"GET", "POST"} <= set(allowed.replace(" ", "").split(","))
        assert "content-type" in answer.headers["access-control-allow-headers"].lower()
        assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        asked["Origin"] = "https://evil.example"
        answer = await http.options(path, headers=asked)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
