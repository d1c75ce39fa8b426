"""The gateway without sockets keeps the promises of the one with."""

import asyncio

import pytest

from denizen.core.address import Address
from denizen.core.limits import Limits
from denizen.core.principal import ANONYMOUS
from denizen.gateway.memory import MemoryClosed, MemoryPeer, connect_in_memory
from denizen.gateway.ports import ConnectRequest
from tests.gateway.world import EchoActors

REQUEST = ConnectRequest(Address("default", "a", ("b",)), ANONYMOUS, "1", "json", None)


async def closing_of(peer: MemoryPeer) -> tuple[int, str]:
    try:
        while True:
            await peer.hear(1)
    except MemoryClosed as closed:
        return closed.code, closed.reason


@pytest.mark.parametrize("delay_s", [0.0, 0.001])
async def test_frames_travel_in_order_through_the_loop(delay_s: float) -> None:
    actors = EchoActors()
    peer = connect_in_memory(actors, REQUEST, delay_s=delay_s)
    for n in range(10):
        peer.say(b"%d" % n, n % 2 == 0)
    assert actors.connections[0].received == []
    for n in range(10):
        assert await peer.hear(1) == (b"%d" % n, n % 2 == 0)


async def test_the_host_closes_after_what_it_sent() -> None:
    actors = EchoActors()
    peer = connect_in_memory(actors, REQUEST)
    peer.say(b"a", False)
    peer.say(b"close 1012", False)
    peer.say(b"never", False)
    assert await peer.hear(1) == (b"a", False)
    assert await closing_of(peer) == (1012, "as asked")
    actors.connections[0].peer.send(b"too late", False)
    assert actors.connections[0].lost_count == 1
    assert len(actors.connections[0].received) == 2


async def test_the_client_leaves_after_what_it_said_or_is_lost_before() -> None:
    actors = EchoActors()
    for leave, received in ((MemoryPeer.leave, 1), (MemoryPeer.lose, 0)):
        peer = connect_in_memory(actors, REQUEST)
        peer.say(b"a", False)
        leave(peer)
        peer.say(b"b", False)
        code, _ = await closing_of(peer)
        connection = actors.connections[-1]
        assert (code, len(connection.received)) == (1000 if received else 1006, received)
        assert connection.lost_count == 1


async def test_limits_are_kept() -> None:
    actors = EchoActors()
    limits = Limits(frame_bytes_max=10, frame_bytes_hard_max=20, outgoing_bytes_max=1_000)
    peer = connect_in_memory(actors, REQUEST, limits)
    peer.say(b"x" * 11, True)
    assert await peer.hear(1) == (b"too long", False)
    peer.say(b"x" * 21, True)
    assert (await closing_of(peer))[0] == 1009
    peer = connect_in_memory(actors, REQUEST, limits)
    for _ in range(100):
        actors.connections[-1].peer.send(b"x" * 100, True)
    assert (await closing_of(peer))[0] == 1013


async def test_waiting_for_a_frame_has_a_deadline() -> None:
    peer = connect_in_memory(EchoActors(), REQUEST)
    with pytest.raises(TimeoutError):
        await peer.hear(0.01)
    peer.lose()
    await asyncio.sleep(0)
