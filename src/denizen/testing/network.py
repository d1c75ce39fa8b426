"""The simulated network: connections between clients and a server's life, with delays and cuts.

A `Link` stands where a TCP connection with a WebSocket on it stands: each way keeps its order, each
frame takes its own time. What is in flight when a link is cut arrives or is lost by chance, as with TCP; both
ends are told, not at the same time. The server's end is the gateway's adapter in memory.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from denizen.client.endings import Ending
from denizen.client.settings import Settings
from denizen.client.sockets import Dial, Receiver
from denizen.core.address import Address
from denizen.core.errors import DenizenError, NotConnected, OutcomeUnknown
from denizen.core.limits import Limits
from denizen.core.principal import ANONYMOUS
from denizen.gateway import paths
from denizen.gateway.memory import MemoryClosed, MemoryPeer, connect_in_memory
from denizen.gateway.ports import Actors, ConnectRequest, TagQuery
from denizen.testing.dice import Dice, Seconds
from denizen.testing.loop import Node
from denizen.testing.trace import Trace

_LONG_S = 3_600.0


class Weather(msgspec.Struct):
    """How the network is now; may be changed at any time."""

    delay_s: Seconds = (0.0002, 0.001)
    """What a frame takes, one way."""
    notice_s: Seconds = (0.0, 0.5)
    """How long an end doesn't notice that its link was cut."""


class Listening(Protocol):
    """Who takes connections in."""

    @property
    def node(self) -> Node: ...

    @property
    def actors(self) -> Actors: ...


class Network:
    """All links. `listener` takes new ones in; None while no server is up."""

    def __init__(self, dice: Dice, trace: Trace, limits: Limits, settings: Settings) -> None:
        self.weather = Weather()
        self.listener: Listening | None = None
        self.links: list[Link] = []
        self.dice = dice
        self.trace = trace
        self.limits = limits
        self._settings = settings
        self._made = 0

    def dial_from(self, node: Node) -> Dial:
        """How a client on that node opens sockets."""

        async def dial(url: str, receiver: Receiver) -> Ending:
            try:
                async with asyncio.timeout(self._settings.connect_timeout_s):
                    await asyncio.sleep(self.delay())
                    if self.listener is None:
                        return Ending(reason="nobody listens there")
                    link = self._open(node, self.listener, url, receiver)
                    await link.until_open()
            except TimeoutError:
                return Ending(reason="no answer in time")
            try:
                return await link.ending
            finally:
                link.client_gone()

        return dial

    async def resolve(self, node: Node, query: TagQuery) -> Address:
        """Ask the manager endpoint, from a client's node. Raises `DenizenError`, also for no answer."""
        answer: asyncio.Future[Address] = node.create_future()
        listener = self.listener
        if listener is None:
            raise NotConnected("Nobody listens there.")

        def settle(outcome: Address | DenizenError) -> None:
            if answer.done():
                return
            if isinstance(outcome, DenizenError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        async def ask() -> None:
            try:
                outcome: Address | DenizenError = await listener.actors.resolve(query, ANONYMOUS)
            except DenizenError as error:
                outcome = error
            node.call_later(self.delay(), settle, outcome)

        listener.node.call_later(self.delay(), lambda: listener.node.start(ask()))
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return await answer
        except TimeoutError:
            raise OutcomeUnknown("The manager endpoint didn't answer.") from None

    def delay(self) -> float:
        return self.dice.seconds(self.weather.delay_s)

    def reset(self, node: Node) -> None:
        """A process is gone: whoever was connected to it is told."""
        for link in [link for link in self.links if link.server_node is node]:
            link.cut()

    def _open(self, node: Node, listener: Listening, url: str, receiver: Receiver) -> "Link":
        self._made += 1
        name = f"{node.name}>{listener.node.name}#{self._made}"
        link = Link(self, name, node, listener, url, receiver)
        self.links.append(link)
        return link


class Link:
    """One connection. `ending` is done once the client knows that it is over."""

    def __init__(
        self,
        network: Network,
        name: str,
        client_node: Node,
        listener: Listening,
        url: str,
        receiver: Receiver,
    ) -> None:
        self.name = name
        self.server_node = listener.node
        self.ending: asyncio.Future[Ending] = client_node.create_future()
        self._network = network
        self._client_node = client_node
        self._receiver = receiver
        self._is_open = client_node.create_future()
        self._peer: MemoryPeer | None = None
        self._pump: asyncio.Task[None] | None = None
        self._to_server = _Way(network, listener.node)
        self._to_client = _Way(network, client_node)
        self._to_server.carry(self._accept, listener.actors, url)

    async def until_open(self) -> None:
        """Return once the server has taken it in, or it is over."""
        await asyncio.wait({self._is_open, self.ending}, return_when=asyncio.FIRST_COMPLETED)

    def cut(self) -> None:
        """Break it. Each end notices in its own time; what is in flight arrives until then, or is lost."""
        network, dice = self._network, self._network.dice
        if self not in network.links:
            return
        network.links.remove(self)
        network.trace.note("cut", self.name)
        for way, notice in (
            (self._to_client, self._client_lost),
            (self._to_server, self._server_lost),
        ):
            way.is_cut = dice.throws(0.5)
            way.node.call_later(dice.seconds(network.weather.notice_s), notice)

    def client_gone(self) -> None:
        """The client has let go of its end."""
        self._to_client.is_cut = True
        if self in self._network.links:
            self._network.links.remove(self)
            self._to_server.carry(self._server_lost)

    # The client's end (`client.sockets.Socket`).

    def send(self, payload: bytes, is_binary: bool) -> None:
        self._network.trace.note("frame.in", self.name, payload)
        self._to_server.carry(self._say, payload, is_binary)

    def close(self, code: int, reason: str) -> None:
        self._to_server.carry(self._leave, code, reason)

    def _opened(self) -> None:
        if not self.ending.done():
            self._is_open.set_result(None)
            self._receiver.opened(self)

    def _receive(self, payload: bytes, is_binary: bool) -> None:
        if not self.ending.done():
            self._network.trace.note("frame.out", self.name, payload)
            self._receiver.receive(payload, is_binary)

    def _closed(self, code: int, reason: str) -> None:
        if not self.ending.done():
            ending = Ending(code, reason)
            self._network.trace.note("close", f"{self.name} {code} {reason}")
            self._receiver.ended(ending)
            self.ending.set_result(ending)

    def _client_lost(self) -> None:
        self._to_client.is_cut = True
        if not self.ending.done():
            self.ending.set_result(Ending(reason="the connection broke"))

    # The server's end.

    def _accept(self, actors: Actors, url: str) -> None:
        self._to_client.carry(self._opened)
        limits = self._network.limits
        self._peer = connect_in_memory(actors, read_request(url, limits), limits)
        self._pump = self.server_node.start(self._pump_out(self._peer))

    async def _pump_out(self, peer: MemoryPeer) -> None:
        """Carry what the host sends, until one end is done."""
        while True:
            try:
                payload, is_binary = await peer.hear(_LONG_S)
            except MemoryClosed as closed:
                self._to_client.carry(self._closed, closed.code, closed.reason)
                return
            self._to_client.carry(self._receive, payload, is_binary)

    def _say(self, payload: bytes, is_binary: bool) -> None:
        if self._peer is not None:
            self._peer.say(payload, is_binary)

    def _leave(self, code: int, reason: str) -> None:
        if self._peer is not None:
            self._peer.leave(code, reason)

    def _server_lost(self) -> None:
        self._to_server.is_cut = True
        if self._peer is not None:
            self._peer.lose()


class _Way:
    """One direction of a link: in order, each thing after a delay of its own."""

    def __init__(self, network: Network, node: Node) -> None:
        self.node = node
        self.is_cut = False
        self._network = network
        self._last_at = 0.0

    def carry(self, arrive: Callable[..., None], *args: Any) -> None:
        at = max(self._last_at, self.node.time() + self._network.delay())
        self._last_at = at
        self.node.call_at(at, self._arrive, arrive, args)

    def _arrive(self, arrive: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.is_cut:
            arrive(*args)


def read_request(url: str, limits: Limits) -> ConnectRequest:
    """What a connection's URL asks for, as the gateway reads it."""
    target = "/" + url.split("/", 3)[3]
    path, _, query = target.partition("?")
    parts = paths.match_connect(path)
    assert parts is not None, f"{path} isn't a connection's path"
    asked = paths.parse_connect_query(query)
    address = paths.address_of(parts, limits)
    return ConnectRequest(address, ANONYMOUS, asked.version, asked.format, asked.params)
