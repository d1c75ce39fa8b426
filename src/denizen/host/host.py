"""The host: finds the instance of an address or wakes it, and passes on what arrives for it.

It offers what the gateway needs of actors (`gateway.ports.Actors`) and what actors need of each other, and
needs a `StatePort` and a `Runtime`. Every actor has at most one instance here; while one is looked for in the
store, all who ask for it wait for the same search.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from denizen.core import clock, entropy
from denizen.core.address import Address
from denizen.core.errors import (
    ActorNotFound,
    ActorStopped,
    ActorTypeNotFound,
    DenizenError,
    InternalError,
    InvalidTags,
    RouteNotFound,
    from_wire,
)
from denizen.core.limits import Limits
from denizen.core.principal import Principal
from denizen.host.activity import Activity, http_activity
from denizen.host.connections import Connection, ConnectRequest, Peer, open_connection
from denizen.host.deadlines import Deadlines
from denizen.host.http import ASGIMessage, Exchange, plain_scope
from denizen.host.instance import Instance
from denizen.host.ports import StatePort
from denizen.telemetry import logs
from denizen.wire import values
from denizen.wire.commits import Record
from denizen.wire.runtime import Body, Caller, Failure, Request, Runtime, Say, TypeInfo
from denizen.wire.v1 import make_codecs

_log = logs.get("host")


class TagQuery(Protocol):
    """The manager endpoint's question, as the gateway read it."""

    @property
    def namespace(self) -> str: ...

    @property
    def get_for_id(self) -> str | None: ...

    @property
    def tags(self) -> Mapping[str, str] | None: ...

    @property
    def create_tags(self) -> Mapping[str, str] | None: ...

    @property
    def region(self) -> str | None: ...


class Host:
    """All actors that are awake in this process."""

    def __init__(
        self, runtime: Runtime, state: StatePort, limits: Limits, *, region: str = "local"
    ) -> None:
        self.limits = limits
        self.state = state
        self._runtime = runtime
        self._types = runtime.types()
        self._region = region
        self._loop = asyncio.get_running_loop()
        self.deadlines = Deadlines(self._loop)
        self._codecs = make_codecs(limits)
        self._by_id: dict[str, Instance] = {}
        self._by_address: dict[Address, Instance] = {}
        self._searches: dict[Address, asyncio.Task[Instance]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_stopped = False

    # For the gateway (`gateway.ports.Actors`).

    def is_ready(self) -> bool:
        """Whether calls can be served now."""
        return not self._is_stopped

    def connect(self, request: ConnectRequest, peer: Peer) -> Connection:
        """Begin a connection; refusals go to the peer."""
        return open_connection(self, request, peer, self._codecs)

    async def call(
        self, address: Address, action: str, args: list[Any], principal: Principal
    ) -> bytes:
        """Run an action for a caller without a connection; the durable result, packed."""
        instance = await self.locate(address)
        answer = _Answer(self._loop)
        instance.call(Activity(answer, 0, action, args))
        return await answer.future

    async def resolve(self, query: TagQuery, principal: Principal) -> Address:
        """Answer a manager query with an actor's address by id."""
        if query.get_for_id is not None:
            return await self._resolve_id(query.namespace, query.get_for_id)
        for tags in (query.tags, query.create_tags):
            if tags is not None:
                check_tags(tags, self.limits)
        wanted = query.create_tags if query.create_tags is not None else query.tags
        assert wanted is not None
        self._type_of(wanted["name"])
        record = await self.state.find_by_tags(
            query.namespace, query.tags, query.create_tags, self._region
        )
        if record is None:
            raise ActorNotFound(
                "No actor has all of these tags, and the query doesn't say how to create one."
            )
        return Address(query.namespace, record.type, actor_id=record.actor_id)

    async def asgi(
        self,
        address: Address,
        principal: Principal,
        scope: ASGIMessage,
        receive: Any,
        send: Any,
    ) -> None:
        """Serve an HTTP request with the actor's own ASGI app."""
        if not self._type_of(address.type).has_http:
            raise RouteNotFound(f"Actors of type {address.type} serve no HTTP of their own.")
        instance = await self.locate(address)
        exchange = Exchange(receive, send)
        activity = http_activity(exchange, plain_scope(scope))
        instance.begin(activity)
        try:
            await exchange.run(instance)
        finally:
            if not activity.is_answered:
                activity.fail(ActorStopped("The HTTP request was given up."))
                instance.cancel(activity)

    # For connections and instances.

    def make_body(self, type_name: str, say: Say) -> Body:
        return self._runtime.make_body(type_name, say)

    def join(self, connection: Connection, address: Address) -> None:
        """Find the actor and hand the connection to it; refusals go to the connection."""
        instance = self._awake(address)
        if instance is not None:
            connection.found(instance)
        else:
            self._start(self._join_later(connection, address))

    def send_request(
        self,
        caller: Instance,
        made_by: Activity | None,
        request: Request,
        chain: tuple[str, ...],
        timeout_s: float,
    ) -> None:
        """An actor calls another, which has `timeout_s`; the answer goes back to it."""
        asker = _RequestAnswer(caller)
        address = Address(caller.record.namespace, request.type, request.key, request.actor_id)
        activity = Activity(
            asker,
            request.request_id,
            request.action,
            values.unpack(request.args),
            Caller(chain=chain),
            timeout_s,
        )
        activity.made_by = made_by
        try:
            instance = self._awake(address)
        except DenizenError as error:
            activity.fail(error)
            return
        if instance is not None:
            instance.call(activity)
        else:
            self._start(self._call_later(activity, address))

    def soon(self, function: Callable[..., None], *args: Any) -> None:
        """Run something after what is under way."""
        self._loop.call_soon(function, *args)

    def later(self, delay_s: float, function: Callable[..., None], *args: Any) -> None:
        """Run something after a while."""
        self._loop.call_later(delay_s, function, *args)

    def forget(self, instance: Instance) -> None:
        """An instance has ended."""
        record = instance.record
        if self._by_id.get(record.actor_id) is instance:
            del self._by_id[record.actor_id]
        address = _address_of(record)
        if self._by_address.get(address) is instance:
            del self._by_address[address]

    # Finding.

    async def locate(self, address: Address) -> Instance:
        """The instance of an address, woken or created if need be.

        Raises `ActorTypeNotFound`, `ActorNotFound`, `ActorDestroyed`, `StoreError`.
        """
        instance = self._awake(address)
        if instance is not None:
            return instance
        search = self._searches.get(address)
        if search is None:
            search = self._start(self._search(address))
            self._searches[address] = search
            search.add_done_callback(lambda _: self._searches.pop(address, None))
        return await asyncio.shield(search)

    def _awake(self, address: Address) -> Instance | None:
        if self._is_stopped:
            raise ActorStopped("The server is stopping.")
        if address.actor_id is None:
            instance = self._by_address.get(address)
        else:
            instance = self._by_id.get(address.actor_id)
            if instance is not None and not _is_at(instance.record, address):
                raise _not_found(address)
        if instance is not None and instance.is_ending and address.actor_id is None:
            # Its address is free once its last commit is durable.
            return None
        return instance

    async def _search(self, address: Address) -> Instance:
        type_info = self._type_of(address.type)
        while (known := self._by_address.get(address)) is not None:
            if not known.is_ending:
                # Woken by its id, after this search was asked for.
                return known
            await known.until_ended()
        snapshot = await self.state.find(address)
        if snapshot is not None:
            record = snapshot.record
            if not _is_at(record, address):
                raise _not_found(address)
            known = self._by_id.get(record.actor_id)
            if known is not None:
                return known
        elif address.actor_id is not None or type_info.create_explicitly:
            raise _not_found(address)
        else:
            record = self._new_record(address)
        instance = Instance(self, type_info, record)
        self._by_id[record.actor_id] = instance
        if record.has_address:
            known_as = address if address.actor_id is None else _address_of(record)
            self._by_address[known_as] = instance
        instance.start(snapshot)
        return instance

    def _new_record(self, address: Address) -> Record:
        return Record(
            entropy.new_id(),
            address.namespace,
            address.type,
            address.key,
            _NO_TAGS,
            self._region,
            clock.now(),
        )

    async def _resolve_id(self, namespace: str, actor_id: str) -> Address:
        awake = self._by_id.get(actor_id)
        if awake is not None and awake.record.namespace == namespace and not awake.is_ending:
            # Its creation may still be on its way to the store: what is told must be durable.
            await awake.until_durable()
            return Address(namespace, awake.record.type, actor_id=actor_id)
        snapshot = await self.state.find(Address(namespace, "", actor_id=actor_id))
        if snapshot is None:
            raise ActorNotFound(f"There is no actor {actor_id[:64]!r}.")
        return Address(namespace, snapshot.record.type, actor_id=actor_id)

    def _type_of(self, name: str) -> TypeInfo:
        found = self._types.get(name)
        if found is None:
            served = ", ".join(sorted(self._types)) or "none"
            raise ActorTypeNotFound(
                f"No actor type {name[:64]!r} is served here (there are: {served})."
            )
        return found

    # Tasks.

    def _start(self, coroutine: Any) -> "asyncio.Task[Any]":
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _join_later(self, connection: Connection, address: Address) -> None:
        try:
            connection.found(await self.locate(address))
        except DenizenError as error:
            connection.refuse(error)
        except Exception:
            _log.exception("a connection couldn't be joined", address=str(address))
            connection.refuse(InternalError())

    async def _call_later(self, activity: Activity, address: Address) -> None:
        try:
            instance = await self.locate(address)
        except DenizenError as error:
            activity.fail(error)
        except Exception:
            _log.exception("a call couldn't be passed on", address=str(address))
            activity.fail(InternalError())
        else:
            instance.call(activity)

    def dismiss_connections(self) -> None:
        """The server goes down: answer the calls of all connections, then close them with 1012.

        Else those who wait on a socket that closes would never hear. Calls over HTTP may end first.
        """
        for instance in list(self._by_id.values()):
            instance.dismiss(ActorStopped("The server is stopping: call again in a moment."))

    async def stop(self) -> None:
        """End every instance: what was acknowledged is durable, who waits is told."""
        self._is_stopped = True
        self.deadlines.stop()
        for task in list(self._tasks):
            task.cancel()
        for instance in list(self._by_id.values()):
            instance.end(ActorStopped("The server is stopping."))
        self._runtime.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=self.limits.cancel_grace_s)


_NO_TAGS: dict[str, str] = {}
"""Shared by all actors without tags, and never written."""


class _Answer:
    """A future as an asker."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[bytes] = loop.create_future()

    def succeed(self, call_id: int, value: bytes) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, call_id: int, failure: Failure) -> None:
        if not self.future.done():
            metadata = None if failure.metadata is msgspec.UNSET else failure.metadata
            self.future.set_exception(from_wire(failure.code, failure.message, metadata))


class _RequestAnswer:
    """The actor that made a request, as an asker."""

    __slots__ = ("_maker",)

    def __init__(self, maker: Instance) -> None:
        self._maker = maker

    def succeed(self, call_id: int, value: bytes) -> None:
        self._maker.answer(call_id, value, None)

    def fail(self, call_id: int, failure: Failure) -> None:
        self._maker.answer(call_id, None, failure)


def check_tags(tags: Mapping[str, str], limits: Limits) -> None:
    """Raises `InvalidTags` for tags that no actor can have."""
    if not tags.get("name"):
        raise InvalidTags("The tag 'name' is required: it names the actor type.")
    if len(tags) > limits.tags_max:
        raise InvalidTags(f"An actor has at most {limits.tags_max} tags, these are {len(tags)}.")
    for key, value in tags.items():
        if len(key.encode()) > limits.tag_key_bytes_max:
            raise InvalidTags(f"A tag's key has at most {limits.tag_key_bytes_max} bytes.")
        if len(value.encode()) > limits.tag_value_bytes_max:
            raise InvalidTags(f"A tag's value has at most {limits.tag_value_bytes_max} bytes.")


def _address_of(record: Record) -> Address:
    return Address(record.namespace, record.type, record.key)


def _is_at(record: Record, address: Address) -> bool:
    return record.namespace == address.namespace and record.type == address.type


def _not_found(address: Address) -> ActorNotFound:
    return ActorNotFound(f"There is no actor {address}.")
