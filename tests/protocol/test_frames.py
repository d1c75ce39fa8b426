"""Every frame of protocol v1 on a real socket, in both encodings."""

import json
from typing import Any

import cbor2
import pytest

from denizen.testing.system import running
from tests.protocol.actors import ACTORS
from tests.protocol.raw import FORMATS, opened, seen

pytestmark = pytest.mark.parametrize("format", FORMATS)


async def test_a_call_and_its_result(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "counter/a", format) as raw:
        await raw.call(0, "increment", 2)
        assert await raw.frame() == {"body": {"ro": {"i": 0, "o": 2}}}
        await raw.call(1, "increment")
        assert await raw.frame() == {"body": {"ro": {"i": 1, "o": 3}}}


async def test_an_empty_result_is_there(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        await raw.call(5, "nothing")
        assert await raw.frame() == {"body": {"ro": {"i": 5, "o": None}}}


@pytest.mark.parametrize("call_id", [0, 23, 24, 255, 256, 65_536, 2**31, 2**32, 2**53])
async def test_the_id_comes_back_in_its_shortest_form(format: str, call_id: int) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        await raw.call(call_id, "nothing")
        payload = await raw.socket.recv()
        if format == "json":
            assert payload == f'{{"body":{{"ro":{{"i":{call_id},"o":null}}}}}}'
        else:
            assert isinstance(payload, bytes)
            # From 2**32 on the client's numbers are floats; a 64-bit integer would find no call.
            shortest = call_id if call_id < 2**32 else float(call_id)
            assert b"\xa2ai" + cbor2.dumps(shortest) in payload
            assert cbor2.loads(payload) == {"body": {"ro": {"i": call_id, "o": None}}}


async def test_a_failure_with_and_without_metadata(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "broken/a", format) as raw:
        await raw.call(0, "refuse", {"left": [0]})
        error: dict[str, Any] = {"i": 0, "c": "no_milk", "m": "out of milk", "md": {"left": [0]}}
        assert await raw.frame() == {"body": {"re": error}}
        await raw.call(1, "refuse_plainly")
        error = {"i": 1, "c": seen("user_error"), "m": "no"}
        assert await raw.frame() == {"body": {"re": error}}


async def test_replies_may_come_in_another_order(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "book/a", format) as raw:
        await raw.call(0, "hold_items", 1, "door")
        await raw.call(1, "add", 2)
        assert await raw.frame() == {"body": {"ro": {"i": 1, "o": 1}}}
        await system.get("latch").open("door")
        assert await raw.frame() == {"body": {"ro": {"i": 0, "o": None}}}


async def test_frames_sent_at_once_are_handled_in_order(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "book/a", format) as raw:
        for number in range(50):
            await raw.call(number, ("add", "add_later")[number % 2], number)
        assert sorted([(await raw.body())["ro"]["i"] for _ in range(50)]) == list(range(50))
        await raw.call(50, "read")
        assert (await raw.body())["ro"]["o"]["items"] == list(range(50))


async def test_events_go_to_who_subscribed(format: str) -> None:
    async with (
        running(ACTORS) as system,
        opened(system, "counter/a", format) as raw,
        opened(system, "counter/a", "json") as other,
    ):
        await raw.subscribe("changed")
        await raw.subscribe("changed")
        await raw.subscribe("nothing of that name")
        await raw.call(0, "increment")
        assert await raw.frame() == {"body": {"ev": {"n": "changed", "a": [1]}}}
        assert await raw.frame() == {"body": {"ro": {"i": 0, "o": 1}}}
        await raw.subscribe("changed", False)
        await raw.subscribe("never had", False)
        await raw.call(1, "increment")
        assert await raw.frame() == {"body": {"ro": {"i": 1, "o": 2}}}
        await raw.subscribe("changed")
        await other.call(0, "increment")
        assert await other.frame() == {"body": {"ro": {"i": 0, "o": 3}}}
        assert await raw.frame() == {"body": {"ev": {"n": "changed", "a": [3]}}}


async def test_an_event_for_one_connection(format: str) -> None:
    async with (
        running(ACTORS) as system,
        opened(system, "room/a", format, params='{"name":"ann"}') as raw,
    ):
        assert await raw.frame() == {"body": {"ev": {"n": "welcome", "a": ["ann"]}}}
        await raw.call(0, "tell", "ann", "hello", 1, None, {"a": []})
        assert await raw.frame() == {"body": {"ev": {"n": "hello", "a": [1, None, {"a": []}]}}}


async def test_params_reach_the_hook(format: str) -> None:
    async with running(ACTORS) as system:
        async with opened(system, "room/a", format, params='{"name":"änn 😀 &?#+%"}') as raw:
            assert (await raw.body())["ev"]["a"] == ["änn 😀 &?#+%"]
        async with opened(system, "room/a", format) as raw:
            assert (await raw.body())["ev"]["a"] == ["?"]


async def test_the_client_s_goodbye_is_answered(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "counter/a", format) as raw:
        await raw.call(0, "increment")
        await raw.frame()
        await raw.socket.close(1000, "bye")
        assert raw.socket.close_code == 1000


async def test_values_as_a_v1_client_expects_them(format: str) -> None:
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        await raw.call(0, "values")
        payload = await raw.socket.recv()
        if format == "json":
            assert json.loads(payload)["body"]["ro"]["o"] == {
                "bytes": "AP8=",
                "at": "2026-01-02T03:04:05Z",
                "small": 2**31 - 1,
                "large": 2**40,
                "negative": -(2**40),
                "huge": 2**63,
                "none": None,
                "float": 0.5,
            }
            return
        assert isinstance(payload, bytes)
        told = cbor2.loads(payload)["body"]["ro"]["o"]
        assert told["bytes"] == b"\x00\xff"
        assert told["at"] == "2026-01-02T03:04:05Z"
        assert (type(told["small"]), type(told["large"])) == (int, float)
        assert (type(told["negative"]), type(told["huge"])) == (float, int)
        assert (told["large"], told["negative"], told["huge"]) == (2**40, -(2**40), 2**63)


async def test_what_a_javascript_encoder_sends(format: str) -> None:
    """Times as tag 1, typed arrays, whole numbers as floats, `undefined` for what is absent."""
    if format == "json":
        calls = [
            ('{"body":{"rr":{"i":0,"n":"moment","a":["2026-01-02T03:04:05Z"]}}}', None),
            ('{"body":{"rr":{"i":0,"n":"size","a":["AP8="]}}}', 2),
            ('{ "body" : {"rr": {"a": [3, null], "n": "plain", "i": 0, "x": 1} } }', None),
        ]
    else:
        undefined = cbor2.undefined
        calls = [
            (cbor2.dumps(_call("moment", cbor2.CBORTag(1, 1_767_323_045))), None),
            (cbor2.dumps(_call("moment", cbor2.CBORTag(1, 1_767_323_045.0))), None),
            (cbor2.dumps(_call("size", cbor2.CBORTag(64, b"\x00\xff"))), 2),
            (cbor2.dumps(_call("whole", 1_767_323_045_000.0)), [1_767_323_045_000, 7]),
            (cbor2.dumps(_call("whole", 5, undefined)), [5, 7]),
            (cbor2.dumps(_call("plain", undefined, 1)), "None"),
            (cbor2.dumps(_call("plain", cbor2.CBORTag(258, [1, 2]))), "[1, 2]"),
            (b"\xb9\x00\x01" + cbor2.dumps(_call("whole", 5))[1:], [5, 7]),
            (b"\xbf" + cbor2.dumps(_call("whole", 5))[1:] + b"\xff", [5, 7]),
        ]
    async with running(ACTORS) as system, opened(system, "typed/a", format) as raw:
        for payload, expected in calls:
            await raw.socket.send(payload)
            body = await raw.body()
            if expected is not None:
                assert body == {"ro": {"i": 0, "o": expected}}
            elif b"moment" in (payload if isinstance(payload, bytes) else payload.encode()):
                assert body["ro"]["o"].startswith("2026-01-02T03:04:05")


def _call(action: str, *args: Any) -> Any:
    return {"body": {"rr": {"i": 0, "n": action, "a": list(args)}}}
