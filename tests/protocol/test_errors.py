"""Every error code that a v1 client may meet on a socket, and every close code, in both encodings."""

import asyncio
from typing import Any

import cbor2
import pytest

from denizen.core.entropy import new_id
from denizen.core.limits import Limits
from denizen.store.memory import MemoryStore
from denizen.store.memory.faults import Faults
from denizen.testing.system import running
from tests.protocol.actors import ACTORS
from tests.protocol.raw import FORMATS, Raw, opened, seen

pytestmark = pytest.mark.parametrize("format", FORMATS)


async def still_fine(raw: Raw) -> None:
    await raw.call(99, "nothing")
    assert await raw.body() == {"ro": {"i": 99, "o": None}}


# Calls.


@pytest.mark.parametrize(
    ("address", "action", "args", "code", "message"),
    [
        ("broken/a", "nope", [], "rpc_not_found", "broken has no action 'nope'."),
        ("broken/a", "__init__", [], "rpc_not_found", "broken has no action '__init__'."),
        ("broken/a", "on_start", [], "rpc_not_found", "broken has no action 'on_start'."),
        ("broken/a", "plain_method", [], "rpc_not_found", None),
        (
            "broken/a",
            "typed",
            [{"x": "a"}, []],
            "invalid_arguments",
            "typed: Expected `int`, got `str` - at `$[0].x`",
        ),
        (
            "broken/a",
            "bug",
            [],
            "internal_error",
            "Internal error. Read the actor logs for more details.",
        ),
        ("broken/a", "return_strange", [], "result_unsendable", None),
        ("typed/a", "nan", [], "result_unsendable", None),
        ("stubborn/a", "change_then_sleep", [], "rpc_timed_out", None),
        ("book/a", "store_strange", ["object"], "state_unstorable", None),
        ("book/a", "fill", [60_000], "state_too_large", None),
        ("loop/a", "alone", [["b.beside", "a.beside"]], "call_cycle", None),
    ],
)
async def test_a_call_that_fails(
    format: str, address: str, action: str, args: list[Any], code: str, message: str | None
) -> None:
    limits = Limits(state_bytes_max=50_000)
    async with running(ACTORS, limits=limits) as system, opened(system, address, format) as raw:
        await raw.call(7, action, *args)
        ((kind, error),) = (await raw.body()).items()
        assert (kind, error["i"], seen(error["c"])) == ("re", 7, code)
        assert message is None or error["m"] == message
        assert "secret" not in str(error)
        assert set(error) - {"md"} == {"i", "c", "m"}
        await raw.call(8, "nope")
        assert (await raw.body())["re"]["i"] == 8


async def test_too_many_calls_in_flight(format: str) -> None:
    limits = Limits(calls_per_connection_max=2)
    async with running(ACTORS, limits=limits) as system, opened(system, "book/a", format) as raw:
        await raw.call(0, "read")
        await raw.frame()
        for call_id in range(3):
            await raw.call(call_id, "hold_items", call_id, "door")
        code, error = await raw.error()
        assert (code, error["i"]) == ("overloaded", 2)
        await system.get("latch").open("door")
        assert {(await raw.body())["ro"]["i"] for _ in range(2)} == {0, 1}


async def test_a_store_that_is_away_ends_the_connection_after_its_answers(format: str) -> None:
    faults = Faults()
    async with running(ACTORS, store=MemoryStore(faults)) as system:
        async with opened(system, "counter/a", format) as raw:
            await raw.call(0, "increment")
            await raw.frame()
            faults.unavailable = 1.0
            await raw.call(1, "increment")
            code, error = await raw.error()
            assert (code, error["i"]) == ("store_unavailable", 1)
            assert await raw.close_code() == 1011
        async with opened(system, "counter/new", format) as raw:
            assert (await raw.error())[0] == "store_unavailable"
            assert await raw.close_code() == 1008
        faults.unavailable = 0.0
        async with opened(system, "counter/a", format) as raw:
            await raw.call(0, "increment")
            assert await raw.body() == {"ro": {"i": 0, "o": 2}}


async def test_an_outcome_that_stays_unknown_is_told(format: str) -> None:
    faults = Faults()
    async with running(ACTORS, store=MemoryStore(faults)) as system:
        async with opened(system, "counter/a", format) as raw:
            await raw.call(0, "increment")
            await raw.frame()
            faults.unknown = 1.0
            await raw.call(1, "increment")
            code, error = await raw.error()
            assert (code, error["i"]) == ("commit_outcome_unknown", 1)
            assert await raw.close_code() == 1011
        faults.unknown = 0.0


async def test_another_generation_has_taken_over(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "counter/a", format) as raw:
        await raw.call(0, "increment")
        await raw.frame()

        async def take_over(transaction: Any) -> None:
            async for key, _ in transaction.get_range(b"", b"\xff"):
                if b"head" in key:
                    transaction.set(key, b"\x95\x63\x63\x01\xc2\x90")

        await system.store.transact(take_over)
        await raw.call(1, "increment")
        code, error = await raw.error()
        assert (code, error["i"]) == ("not_here", 1)
        assert await raw.close_code() == 1012


# Frames that aren't calls.

MALFORMED = [
    None,
    [],
    1,
    {},
    {"body": {}},
    {"body": []},
    {"body": {"ro": {"i": 1, "o": 1}}},
    {"body": {"rr": {}}},
    {"body": {"rr": {"i": -1, "n": "x", "a": []}}},
    {"body": {"sr": {"e": "x"}}},
    {"body": {"sr": {"e": 1, "s": True}}},
    {"body": {"rr": {"i": "1", "n": "x", "a": []}}},
]


@pytest.mark.parametrize("frame", MALFORMED, ids=str)
async def test_a_malformed_frame_is_told_and_the_connection_stays(format: str, frame: Any) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        await raw.send(frame)
        ((kind, error),) = (await raw.body()).items()
        assert (kind, seen(error["c"])) == ("er", "malformed_message")
        assert set(error) == {"c", "m"}
        await still_fine(raw)


@pytest.mark.parametrize(
    "frame",
    [
        {"body": {"rr": {"i": 3, "n": "x"}}},
        {"body": {"rr": {"i": 3, "n": 5, "a": []}}},
        {"body": {"rr": {"i": 3, "n": "x", "a": {}}}},
        {"body": {"rr": {"i": 3, "n": "x" * 200, "a": []}}},
    ],
    ids=str,
)
async def test_one_whose_id_can_be_read_is_answered_as_a_call(format: str, frame: Any) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        await raw.send(frame)
        ((kind, error),) = (await raw.body()).items()
        assert (kind, error["i"], error["c"]) == ("re", 3, "malformed_message")
        await still_fine(raw)


async def test_bytes_that_are_nothing(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        for junk in (b"", b"\xff", b"{", b"\x00" * 100, b"[" * 60_000):
            payload = junk if format == "cbor" else junk.decode("latin-1")
            await raw.socket.send(payload)
            assert (await raw.body())["er"]["c"] == "malformed_message"
        await still_fine(raw)


async def test_a_frame_of_the_wrong_kind(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        call = {"body": {"rr": {"i": 0, "n": "nothing", "a": []}}}
        await raw.socket.send(cbor2.dumps(call) if format == "json" else '{"body":{}}')
        assert (await raw.body())["er"]["c"] == "malformed_message"
        await still_fine(raw)


async def test_a_frame_over_the_limit_and_one_over_the_hard_limit(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        empty = len(raw.encoded({"body": {"rr": {"i": 0, "n": "plain", "a": ["x" * 60_000]}}}))
        await raw.call(0, "plain", "x" * (60_000 + 65_536 - empty))
        assert (await raw.body())["ro"]["i"] == 0
        await raw.call(1, "plain", "x" * (60_001 + 65_536 - empty))
        assert (await raw.error())[0] == "message_too_long"
        await still_fine(raw)
        await raw.call(2, "plain", "x" * 1_100_000)
        assert await raw.close_code() == 1009


async def test_too_many_subscriptions(format: str) -> None:
    limits = Limits(subscriptions_max=1)
    async with running(ACTORS, limits=limits) as system, opened(system, "typed/a", format) as raw:
        await raw.subscribe("a")
        await raw.subscribe("b")
        assert (await raw.body())["er"]["c"] == "overloaded"
        await still_fine(raw)


# Refusals: upgraded all the same, one `er` frame, then 1008.


@pytest.mark.parametrize(
    ("address", "options", "code"),
    [
        ("counter/a", {"version": "2"}, "invalid_protocol_version"),
        ("counter/a", {"version": None}, "invalid_protocol_version"),
        ("counter/a", {"version": "x" * 500}, "invalid_protocol_version"),
        ("counter/a", {"params": "{"}, "malformed_connnection_parameters"),
        ("counter/a", {"params": ""}, "malformed_connnection_parameters"),
        ("counter/a", {"params": "[" * 5_000}, "malformed_connnection_parameters"),
        ("counter/a", {"params": '"%s"' % ("x" * 8_191)}, "connection_parameters_too_long"),
        ("counter/a", {"params": '"%s"' % ("ä" * 4_096)}, "connection_parameters_too_long"),
        ("nothing/a", {}, "actor_type_not_found"),
        ("explicit/a", {}, "actor_not_found"),
        (f"counter/~{new_id()}", {}, "actor_not_found"),
        ("counter/~5", {}, "invalid_key"),
        ("counter/%FF", {}, "invalid_key"),
        ("counter/a", {"prefix": "/ns/NO/actors/"}, "invalid_namespace"),
        ("counter/a", {"origin": "https://elsewhere.example"}, "forbidden"),
        ("room/a", {"params": '{"refuse":true}'}, "not_you"),
        ("room/a", {"params": '{"bug":true}'}, "internal_error"),
        ("nervous/raises", {}, "internal_error"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_refused_connection(
    format: str, address: str, options: dict[str, Any], code: str
) -> None:
    async with running(ACTORS) as system, opened(system, address, format, **options) as raw:
        ((kind, error),) = (await raw.body()).items()
        assert (kind, seen(error["c"])) == ("er", code)
        assert "secret" not in str(error)
        assert await raw.close_code() == 1008


@pytest.mark.parametrize("asked", ["", "msgpack", "JSON", "xml"])
async def test_an_unknown_format_is_refused_in_json(format: str, asked: str) -> None:
    async with running(ACTORS) as system, opened(system, "counter/a", asked) as raw:
        assert (await raw.error())[0] == "invalid_protocol_format"
        assert await raw.close_code() == 1008


async def test_as_many_parameters_as_may_be(format: str) -> None:
    """8,192 bytes that percent-encode to three times as many."""
    params = '"%s"' % ("ä" * 4_095)
    async with running(ACTORS) as system, opened(system, "counter/a", format, params=params) as raw:
        await raw.call(0, "increment")
        assert await raw.body() == {"ro": {"i": 0, "o": 1}}


async def test_a_destroyed_actor_and_one_that_is_full(format: str) -> None:
    limits = Limits(connections_per_actor_max=1)
    async with running(ACTORS, limits=limits) as system:
        told = await system.get("room", "a").who_am_i()
        await system.get("room", "a").end()
        async with opened(system, f"room/~{told['id']}", format) as raw:
            assert (await raw.error())[0] == "actor_destroyed"
            assert await raw.close_code() == 1008
        async with opened(system, "counter/a", format) as first:
            await first.call(0, "increment")
            await first.frame()
            async with opened(system, "counter/a", format) as raw:
                assert (await raw.error())[0] == "too_many_connections"
                assert await raw.close_code() == 1008


# Close codes.


async def test_destroyed_and_disconnected_close_with_1000(format: str) -> None:
    async with running(ACTORS) as system:
        for action, args in (("end", []), ("kick", ["?"])):
            async with opened(system, "room/a", format) as raw:
                assert "ev" in await raw.body()
                await raw.call(0, action, *args)
                assert await raw.close_code() == 1000


async def test_a_call_that_meets_the_end_is_told(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "room/a", format) as raw:
        assert "ev" in await raw.body()
        system.store.hold()
        await raw.call(0, "end")
        await system.store.until_held()
        await raw.call(1, "note", "late")
        code, error = await raw.error()
        assert (code, error["i"]) == ("actor_destroyed", 1)
        system.store.release()
        assert await raw.body() == {"ro": {"i": 0, "o": "ended"}}
        assert await raw.close_code() == 1000


async def test_a_crash_closes_with_1011(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "nervous/x", format) as raw:
        await raw.call(0, "crash_later", True)
        assert await raw.body() == {"ro": {"i": 0, "o": None}}
        assert await raw.close_code() == 1011


async def test_a_call_that_meets_a_crash_is_told(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "nervous/x", format) as raw:
        await raw.call(0, "read")
        await raw.frame()
        system.store.hold()
        await raw.call(1, "crash_later", True)
        await system.store.until_held()
        await raw.call(2, "read_never")
        await raw.call(3, "call_back", ["helper"])
        await asyncio.sleep(0.02)
        system.store.release()
        told = []
        while len(told) < 3:
            ((_, frame),) = (await raw.body()).items()
            told.append((frame["i"], seen(frame.get("c", "ok"))))
        assert dict(told)[1] in ("ok", "actor_crashed")
        assert (3, "actor_crashed") in told
        assert await raw.close_code() == 1011


async def test_a_stopping_server_answers_and_closes_with_1012(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "book/a", format) as raw:
        await raw.call(0, "hold_items", 1, "never")
        await system.get("latch").arrived("never")
        stopping = asyncio.ensure_future(system.server.stop(grace_s=1.0))
        code, error = await raw.error()
        assert (code, error["i"]) == ("actor_stopped", 0)
        assert await raw.close_code() == 1012
        await stopping


async def test_who_reads_too_slowly_is_closed_with_1013(format: str) -> None:
    limits = Limits(outgoing_bytes_max=100_000)
    async with running(ACTORS, limits=limits) as system, opened(system, "typed/a", format) as raw:
        raw.socket.transport.pause_reading()
        for call_id in range(200):
            await raw.call(call_id, "long", 60_000)
        for _ in range(200):
            await asyncio.sleep(0.001)
        raw.socket.transport.resume_reading()
        assert await raw.close_code() == 1013
