"""Pins what `gateway.handover` uses of picows' insides: a new version must keep each point."""

import asyncio
import socket
from typing import Any

import picows
from picows import WSListener, WSMsgType
from picows.picows import WSProtocol

from denizen.gateway.handover import _HEAD, _feed, _make_protocol
from tests.gateway.world import masked

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class FakeTransport:
    """What picows may ask of a transport, and nothing else."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.written: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 1

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None: ...


class Seen(WSListener):
    """A listener that remembers."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_ws_connected(self, transport: Any) -> None:
        self.told.append("connected")

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        flags = (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3, frame.last_in_buffer)
        payload = frame.get_payload_as_bytes()
        assert frame.payload_size == len(payload)
        assert bytes(frame.get_payload_as_memoryview()) == payload
        self.told.append((frame.msg_type, payload, *map(int, flags)))

    def on_ws_disconnected(self, transport: Any) -> None:
        self.told.append("disconnected")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def opened() -> tuple[Any, FakeTransport, Seen]:
    listener, transport = Seen(), FakeTransport()
    protocol = _make_protocol(listener, 1_000)  # type: ignore[arg-type]
    protocol.connection_made(transport)
    _feed(protocol, _HEAD % KEY)
    return protocol, transport, listener


async def test_it_is_the_version_that_was_read() -> None:
    assert picows.__version__ == "2.3.1"
    assert issubclass(WSProtocol, asyncio.BufferedProtocol)
    assert not issubclass(WSProtocol, asyncio.Protocol)


async def test_it_answers_our_head_through_the_transport_it_was_given() -> None:
    protocol, transport, listener = opened()
    assert len(transport.written) == 1
    assert transport.written[0].startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in transport.written[0]
    assert listener.told == ["connected"]
    transport.socket.close()
    protocol.connection_lost(None)


async def test_it_hands_us_every_kind_of_frame_and_writes_nothing_itself() -> None:
    protocol, transport, listener = opened()
    _feed(protocol, masked(0xC2, b"a") + masked(0x01, b"b") + masked(0x80, b"c"))
    _feed(protocol, masked(0x89, b"d") + masked(0x8A, b"e") + masked(0x88, b"\x03\xe8f")[:-1])
    _feed(protocol, masked(0x88, b"\x03\xe8f")[-1:])
    assert listener.told[1:] == [
        (WSMsgType.BINARY, b"a", 1, 1, 0, 0, 0),
        (WSMsgType.TEXT, b"b", 0, 0, 0, 0, 0),
        (WSMsgType.CONTINUATION, b"c", 1, 0, 0, 0, 1),
        (WSMsgType.PING, b"d", 1, 0, 0, 0, 0),
        (WSMsgType.PONG, b"e", 1, 0, 0, 0, 1),
        (WSMsgType.CLOSE, b"\x03\xe8f", 1, 0, 0, 0, 1),
    ]
    assert len(transport.written) == 1
    transport.socket.close()
    protocol.connection_lost(None)
    assert listener.told[-1] == "disconnected"


async def test_it_tells_of_a_broken_frame_before_it_hands_us_the_one_before() -> None:
    protocol, transport, listener = opened()
    _feed(protocol, masked(0x82, b"a") + b"\x82\x02hi")
    assert transport.written[1][:4] == b"\x88" + transport.written[1][1:2] + b"\x03\xea"
    assert listener.told[1:] == [(WSMsgType.BINARY, b"a", 1, 0, 0, 0, 1)]
    _feed(protocol, masked(0x82, b"b"))
    assert len(transport.written) == 2
    await asyncio.sleep(0.02)  # its own, delayed close must be harmless
    transport.socket.close()
    protocol.connection_lost(None)


async def test_it_passes_on_what_the_loop_says_of_writing() -> None:
    protocol, transport, listener = opened()
    protocol.pause_writing()
    protocol.resume_writing()
    assert listener.told[1:] == ["pause", "resume"]
    assert protocol.eof_received() is False
    transport.socket.close()
    protocol.connection_lost(None)


async def test_we_read_no_more_at_once_than_we_want() -> None:
    protocol, transport, _ = opened()
    for _ in range(200):
        assert 0 < len(protocol.get_buffer(-1)) <= 65_536
        _feed(protocol, masked(0x82, b"x" * 900) * 100)
    transport.socket.close()
    protocol.connection_lost(None)
