"""The guard as a pure machine: where requests end, what is refused, what is late."""

import itertools

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.core.errors import (
    DenizenError,
    HeadTooLarge,
    MalformedMessage,
    MessageTooLong,
    MethodNotAllowed,
    TooManyRequests,
)
from denizen.core.limits import Limits
from denizen.gateway.guard import ENDED, Ended, Guard, Phase
from denizen.gateway.head import Head

LIMITS = Limits(head_bytes_max=1_000, body_bytes_max=1_000, requests_per_second_max=3)
GET = b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /a HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + body


def events(guard: Guard, *pieces: bytes) -> list[Head | bytes | Ended]:
    """All events of one request, with adjoining pieces of body put together."""
    found: list[Head | bytes | Ended] = []
    for piece in pieces:
        guard.receive(piece, 0.0)
        while (event := guard.next_event(0.0)) is not None:
            if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
                found[-1] += event
            else:
                found.append(event)
    return found


@given(st.lists(st.integers(0, len(GET)), max_size=5))
def test_a_head_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(GET)]
    pieces = [GET[a:b] for a, b in itertools.pairwise(edges) if a < b]
    head, end = events(Guard(LIMITS, 0.0), *pieces)
    assert isinstance(head, Head)
    assert (head.method, head.path, head.query, head.raw) == ("GET", "/a", "b=c", GET)
    assert end is ENDED


CHUNKED = b"5;x=y\r\nhello\r\n0006\r\n world\r\n0\r\nHost: evil\r\n\r\n"


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=8))
def test_a_chunked_body_passes_without_its_trailers(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CHUNKED)]
    pieces = [CHUNKED[a:b] for a, b in itertools.pairwise(edges) if a < b]
    begin = post(b"Transfer-Encoding: chunked\r\n")
    found = events(Guard(LIMITS, 0.0), begin, *pieces)
    assert found[1:] == [b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", ENDED]


class Parsed:
    """What the parser behind the guard makes of the same bytes."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.ended = 0

    def on_message_begin(self) -> None:
        self.bodies.append(b"")

    def on_body(self, body: bytes) -> None:
        self.bodies[-1] += body

    def on_message_complete(self) -> None:
        self.ended += 1


@given(
    st.lists(
        st.sampled_from(
            [
                GET,
                post(b"Content-Length: 5\r\n", b"hello"),
                post(b"Content-Length: 0\r\n"),
                post(b"Transfer-Encoding: chunked\r\n", CHUNKED),
                post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
                post(b"transfer-encoding:\tCHUNKED \r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
                b"\r\n" + GET,
            ]
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_parser_behind_sees_the_same_requests(requests: list[bytes]) -> None:
    guard = Guard(Limits(), 0.0)
    parsed = Parsed()
    parser = httptools.HttpRequestParser(parsed)
    guard.receive(b"".join(requests), 0.0)
    seen = 0
    while (event := guard.next_event(0.0)) is not None:
        if isinstance(event, Head):
            parser.feed_data(event.raw)
        elif isinstance(event, bytes):
            parser.feed_data(event)
        else:
            seen += 1
            assert parsed.ended == seen
            guard.answered(0.0)
    assert seen == len(requests)
    assert not guard.has_waiting


# Each of these could be read in two ways, or isn't HTTP at all.
AMBIGUOUS = {
    "both lengths": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    "a list of lengths": post(b"Content-Length: 5, 5\r\n"),
    "a signed length": post(b"Content-Length: +5\r\n"),
    "a negative length": post(b"Content-Length: -1\r\n"),
    "a huge length": post(b"Content-Length: 99999999999999999999\r\n"),
    "an empty length": post(b"Content-Length:\r\n"),
    "another coding": post(b"Transfer-Encoding: gzip, chunked\r\n"),
    "two codings": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    "an obscured coding": post(b"Transfer-Encoding: xchunked\r\n"),
    "a space before the colon": post(b"Content-Length : 5\r\n"),
    "a folded header": post(b"A: b\r\n c\r\n"),
    "a header without a colon": post(b"nonsense\r\n"),
    "a header without a name": post(b": b\r\n"),
    "a null byte": post(b"A: b\x00c\r\n"),
    "a bare carriage return": post(b"A: b\rContent-Length: 5\r\n"),
    "a bare line feed": post(b"A: b\nContent-Length: 5\r\n"),
    "bare line feeds only": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": post(b"Host: localhost\r\n"),
    "no version": b"GET /\r\n\r\n",
    "an old version": b"GET / HTTP/0.9\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a raw path beyond ASCII": "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a foreign target": b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a small method": b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "chunks before 1.1": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_refused(request_bytes: bytes) -> None:
    with pytest.raises(MalformedMessage):
        events(Guard(LIMITS, 0.0), request_bytes)


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-1\r\n",
        b"5\nhello",
        b"5\r\nhelloX",
        b"5 5\r\n",
        b"123456789\r\n",
        b"\r\n",
        b"1" * 300,
        b"5;" + b"x" * 300 + b"\r\n",
        b"5\r\nhello\n",
        b"0\r\n" + b"a: b\r\n" * 1_000,
    ],
)
def test_a_bad_chunk_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        events(Guard(LIMITS, 0.0), post(b"Transfer-Encoding: chunked\r\n"), body)


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"BREW"])
def test_a_method_that_nobody_serves_is_refused(method: bytes) -> None:
    with pytest.raises(MethodNotAllowed):
        events(Guard(LIMITS, 0.0), method + GET[3:])


def refusal_of(limits: Limits, *pieces: bytes) -> type[DenizenError] | None:
    try:
        events(Guard(limits, 0.0), *pieces)
    except DenizenError as error:
        return type(error)
    return None


def head_of(size: int) -> bytes:
    return post(b"A: " + b"x" * (size - len(post(b"A: \r\n"))) + b"\r\n")


def test_a_head_at_its_limit_passes_and_above_is_refused_whole_or_not() -> None:
    assert refusal_of(LIMITS, head_of(1_000)) is None
    assert refusal_of(LIMITS, head_of(1_001)) is HeadTooLarge
    assert refusal_of(LIMITS, *[b"G" * 100] * 11) is HeadTooLarge
    assert refusal_of(LIMITS, post(b"a:\r\n" * 1_000_000)) is HeadTooLarge


def test_a_body_at_its_limit_passes_and_above_is_refused_before_it_comes() -> None:
    assert refusal_of(LIMITS, post(b"Content-Length: 1000\r\n", b"x" * 1_000)) is None
    assert refusal_of(LIMITS, post(b"Content-Length: 1001\r\n")) is MessageTooLong
    chunked = post(b"Transfer-Encoding: chunked\r\n")
    assert refusal_of(LIMITS, chunked, b"3e8\r\n") is None
    assert refusal_of(LIMITS, chunked, b"3e9\r\n") is MessageTooLong
    assert refusal_of(LIMITS, chunked, b"1\r\nx\r\n" * 1_001) is MessageTooLong


def test_a_request_waits_for_the_answer_to_the_one_before() -> None:
    guard = Guard(LIMITS, 0.0)
    assert len(events(guard, GET + GET)) == 2
    assert guard.phase is Phase.ANSWERING
    assert guard.has_waiting
    guard.answered(0.0)
    assert isinstance(guard.next_event(0.0), Head)


def test_the_rate_is_counted_by_the_second() -> None:
    guard = Guard(LIMITS, 0.0)
    for second in (0.0, 1.0, 2.5):
        for _ in range(3):
            guard.receive(GET, second)
            assert isinstance(guard.next_event(second), Head)
            assert guard.next_event(second) is ENDED
            guard.answered(second)
    guard.receive(GET, 2.9)
    with pytest.raises(TooManyRequests):
        guard.next_event(2.9)


def test_each_phase_has_its_deadline_on_every_request() -> None:
    limits = Limits(head_timeout_s=10, body_timeout_s=30, idle_timeout_s=75)
    guard = Guard(limits, 0.0)
    assert (guard.is_overdue(10.0), guard.is_overdue(10.1)) == (False, True)
    for begin in (0.0, 100.0):
        guard.receive(b"P", begin)
        guard.receive(post(b"Content-Length: 2\r\n")[1:-1], begin + 9)
        assert guard.next_event(begin + 9) is None
        assert (guard.is_overdue(begin + 10), guard.is_overdue(begin + 10.1)) == (False, True)
        guard.receive(b"\n", begin + 10)
        assert isinstance(guard.next_event(begin + 10), Head)
        assert (guard.is_overdue(begin + 40), guard.is_overdue(begin + 40.1)) == (False, True)
        guard.receive(b"ok", begin + 40)
        assert guard.next_event(begin + 40) == b"ok"
        assert guard.next_event(begin + 40) is ENDED
        assert not guard.is_overdue(begin + 10_000)
        guard.answered(begin + 50)
        assert (guard.is_overdue(begin + 125), guard.is_overdue(begin + 125.1)) == (False, True)


def test_time_stands_still_while_the_app_is_the_slow_one() -> None:
    guard = Guard(Limits(body_timeout_s=30), 0.0)
    guard.receive(post(b"Content-Length: 2\r\n"), 0.0)
    assert isinstance(guard.next_event(0.0), Head)
    guard.hold(10.0)
    assert not guard.is_overdue(1_000.0)
    guard.release(1_010.0)
    assert (guard.is_overdue(1_030.0), guard.is_overdue(1_030.1)) == (False, True)


def test_an_upgrade_that_isnt_ours_becomes_plain_http() -> None:
    asked = post(b"Upgrade: h2c\r\nConnection: Upgrade, close\r\nHTTP2-Settings: x\r\nA: b\r\n")
    head = events(Guard(LIMITS, 0.0), asked)[0]
    assert isinstance(head, Head)
    assert head.is_upgrade
    assert not head.is_websocket
    assert head.without_upgrade() == (
        b"POST /a HTTP/1.1\r\nhost: localhost\r\na: b\r\nconnection: close\r\n\r\n"
    )


@given(st.binary(max_size=400))
def test_no_bytes_make_it_stumble(data: bytes) -> None:
    refusal_of(LIMITS, data)
    refusal_of(LIMITS, GET[:-2] + data)
    refusal_of(LIMITS, post(b"Transfer-Encoding: chunked\r\n"), data)
