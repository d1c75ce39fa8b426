"""The HTTP routes, with an HTTP client: calls, own apps, manager, regions, health, origins."""

from typing import Any

import httpx
import pytest

from denizen.core.principal import ANONYMOUS
from denizen.gateway.admit import dev
from denizen.gateway.listen import Listener
from denizen.gateway.ports import TagQuery
from tests.gateway.world import ACTOR_ID, EchoActors, serving


def client(listener: Listener) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=5)


async def test_a_call_answers_with_its_output() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, client(listener) as http:
        answer = await http.post("/actors/counter/a/rpc/increment", content=b'{"args":[2]}')
        assert answer.status_code == 200
        assert answer.json() == {"output": {"key": ["a"], "args": [2]}}
        assert answer.headers["content-type"] == "application/json"
        assert "date" in answer.headers
        assert "server" not in answer.headers
    address, action, args, principal = actors.calls[0]
    assert (str(address), address.namespace) == ("counter/a", "default")
    assert (action, args, principal) == ("increment", [2], ANONYMOUS)


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_without_args_a_call_has_none(body: bytes) -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.post("/actors/counter/-/rpc/get", content=body)
        assert answer.json() == {"output": {"key": [], "args": []}}


async def test_a_form_content_type_is_fine() -> None:
    async with serving() as listener, client(listener) as http:
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = await http.post("/actors/c/a/rpc/x", content=b'{"args":[1]}', headers=form)
        assert answer.json()["output"]["args"] == [1]


@pytest.mark.parametrize(
    ("segment", "key"),
    [("a,b", ["a", "b"]), ("a%2Cb", ["a,b"]), ("a%2Fb,c", ["a/b", "c"]), ("%C3%A9", ["é"])],
)
async def test_a_key_is_one_segment_whatever_it_is_made_of(segment: str, key: list[str]) -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.post(f"/ns/staging/actors/c/{segment}/rpc/x")
        assert answer.json()["output"]["key"] == key


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/actors/c/a/rpc/fail", b"", 400, "unlucky"),
        ("POST", "/actors/c/a/rpc/unknown", b"", 404, "rpc_not_found"),
        ("POST", "/actors/c/a/rpc/bug", b"", 500, "internal_error"),
        ("POST", "/actors/c/a/rpc/x", b"{", 400, "malformed_message"),
        ("POST", "/actors/c/a/rpc/x", b"[" * 50_000, 400, "malformed_message"),
        ("POST", "/actors/c/a/rpc/x", b"x" * 65_537, 413, "message_too_long"),
        ("POST", "/actors/c/%FF/rpc/x", b"", 400, "invalid_key"),
        ("POST", "/actors/c/~12/rpc/x", b"", 400, "invalid_key"),
        ("POST", "/actors/%FF/a/rpc/x", b"", 400, "invalid_key"),
        ("POST", "/ns/UP/actors/c/a/rpc/x", b"", 400, "invalid_namespace"),
        ("GET", "/actors/c/a/rpc/x", b"", 405, "method_not_allowed"),
        ("GET", "/actors/c/a/connect", b"", 426, "upgrade_required"),
        ("GET", "/nowhere", b"", 404, "not_found"),
        ("GET", "/", b"", 404, "not_found"),
        ("POST", "/actors/bare/a/http/", b"", 404, "actor_not_found"),
        ("GET", "/actors/c/a/http/broken", b"", 500, "internal_error"),
        ("POST", "/manager/actors", b"{}", 400, "malformed_message"),
        ("POST", "/manager/actors", b'{"query":{}}', 400, "malformed_message"),
        ("POST", "/manager/actors", b"[" * 50_000, 400, "malformed_message"),
        (
            "POST",
            "/manager/actors",
            b'{"query":{"create":{"tags":{"name":1}}}}',
            400,
            "invalid_tags",
        ),
        (
            "POST",
            "/manager/actors",
            b'{"query":{"getForId":{"actorId":"gone"}}}',
            404,
            "actor_not_found",
        ),
    ],
)
async def test_an_error_is_json_with_its_code(
    method: str, path: str, body: bytes, status: int, code: str
) -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.request(method, path, content=body)
        told = answer.json()
        assert (answer.status_code, told["code"]) == (status, code)
        assert set(told) <= {"code", "message", "metadata"}
        assert "secret" not in answer.text
        # The next request is fine.
        assert (await http.post("/actors/c/a/rpc/x")).status_code == 200


async def test_metadata_travels_and_a_wrong_method_names_the_right_one() -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.post("/actors/c/a/rpc/fail")
        assert answer.json() == {"code": "unlucky", "message": "no luck", "metadata": {"at": 3}}
        answer = await http.get("/actors/c/a/rpc/x")
        assert answer.headers["allow"] == "POST"


async def test_health_tells_whether_calls_are_served() -> None:
    actors = EchoActors()
    async with serving(actors) as listener, client(listener) as http:
        assert (await http.get("/health")).status_code == 200
        actors.is_serving = False
        answer = await http.get("/health")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("path", ["/regions/resolve", "/api/regions/resolve?project=p"])
async def test_the_region_is_found_at_the_root_and_under_the_api(path: str) -> None:
    async with serving() as listener, client(listener) as http:
        assert (await http.get(path)).json() == {"region": {"id": "local", "name": "Local"}}
        assert (await http.get("/api/regions")).json() == {
            "regions": [{"id": "local", "name": "Local"}]
        }


@pytest.mark.parametrize("path", ["/manager/rivet/config", "/manager//rivet/config?a=b"])
async def test_the_configuration_names_the_address_that_was_called(path: str) -> None:
    async with serving() as listener, client(listener) as http:
        for host in (f"127.0.0.1:{listener.port}", f"localhost:{listener.port}"):
            answer = await http.get(path, headers={"host": host})
            assert answer.json() == {"endpoint": f"http://{host}/api"}


@pytest.mark.parametrize(
    ("prefix", "query", "asked"),
    [
        ("", {"getForId": {"actorId": "i"}}, TagQuery("default", get_for_id="i")),
        (
            "",
            {"getOrCreateForTags": {"tags": {"name": "c", "a": "b"}}},
            TagQuery("default", tags={"name": "c", "a": "b"}),
        ),
        (
            "/ns/staging",
            {
                "getOrCreateForTags": {
                    "tags": {"name": "c"},
                    "create": {"tags": {"name": "c", "x": "y"}, "region": "local"},
                }
            },
            TagQuery(
                "staging", tags={"name": "c"}, create_tags={"name": "c", "x": "y"}, region="local"
            ),
        ),
        (
            "",
            {"create": {"tags": {"name": "c"}}},
            TagQuery("default", create_tags={"name": "c"}),
        ),
    ],
)
async def test_the_manager_asks_one_of_three_questions(
    prefix: str, query: dict[str, Any], asked: TagQuery
) -> None:
    actors = EchoActors()
    async with serving(actors) as listener, client(listener) as http:
        for slash in ("/", "//"):
            answer = await http.post(f"{prefix}/manager{slash}actors", json={"query": query})
            kind = (asked.tags or {}).get("name", "any")
            root = f"http://127.0.0.1:{listener.port}{prefix}"
            assert answer.json() == {"endpoint": f"{root}/actors/{kind}/~{ACTOR_ID}"}
    assert actors.queries == [asked, asked]


async def test_an_own_app_gets_a_rebased_scope_and_the_body() -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.put("/actors/c/a%2Fb/http/x/read", content=b"x" * 100_000)
        assert answer.text == "PUT /actors/c/a/b/http /actors/c/a/b/http/x/read 100000"
        assert answer.headers["x-own"] == "1"
        answer = await http.get("/actors/c/a/http/?q=1")
        assert answer.text == "GET /actors/c/a/http /actors/c/a/http/ 0"
        answer = await http.get("/actors/c/a/http")
        assert answer.status_code == 307
        assert answer.headers["location"].endswith("/actors/c/a/http/")
        answer = await http.head("/actors/c/a/http/")
        assert (answer.status_code, answer.text) == (200, "")


async def test_a_large_answer_of_an_own_app_arrives_whole() -> None:
    async with serving() as listener, client(listener) as http:
        answer = await http.get("/actors/c/a/http/large")
        assert len(answer.content) > 512 * 65_536


async def test_an_answer_that_breaks_off_reads_as_broken() -> None:
    async with serving() as listener, client(listener) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/actors/c/a/http/half")
        assert (await http.get("/health")).status_code == 200


LOOPBACK = {"origin": "http://localhost:3000"}
FOREIGN = {"origin": "https://evil.example"}


async def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    async with serving() as listener, client(listener) as http:
        asked = {
            **LOOPBACK,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        answer = await http.options("/manager/actors", headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == LOOPBACK["origin"]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "content-type"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/health", b""),
        ("GET", "/nowhere", b""),
        ("GET", "/actors/c/a/rpc/x", b""),
        ("POST", "/actors/c/a/rpc/bug", b""),
        ("GET", "/actors/c/a/http/", b""),
        ("POST", "/manager/actors", b"{"),
        ("POST", "/actors/c/a/http/", b"x" * 2_000),
    ],
)
async def test_every_answer_carries_an_allowed_origin(method: str, path: str, body: bytes) -> None:
    async with serving(body_bytes_max=1_000) as listener, client(listener) as http:
        answer = await http.request(method, path, content=body, headers=LOOPBACK)
        assert answer.headers["access-control-allow-origin"] == LOOPBACK["origin"]
        assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("headers", [FOREIGN, {"origin": "null"}, {"host": "evil.example"}])
async def test_a_foreign_page_is_refused_and_nothing_runs(headers: dict[str, str]) -> None:
    actors = EchoActors()
    async with serving(actors) as listener, client(listener) as http:
        for _ in range(2):
            answer = await http.post("/actors/c/a/rpc/x", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "access-control-allow-origin" not in answer.headers
        assert actors.calls == []


async def test_what_is_listed_may_come_in() -> None:
    policy = dev(hosts=["box.lan"], origins=["https://app.example"])
    async with serving(policy=policy) as listener, client(listener) as http:
        for headers in (
            {"host": "box.lan"},
            {"origin": "https://app.example"},
            {"host": "box.lan", "origin": "http://box.lan"},
        ):
            answer = await http.post("/actors/c/a/rpc/x", headers=headers)
            assert answer.status_code == 200
