"""What the generated sync twins stand on: they say what, this does it on the background loop.

A twin holds a recipe and no connection. In each process the recipe is followed once, on that
process's loop thread, when the twin is first used there; so one made before a fork works after it.
"""

import inspect
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakKeyDictionary

from denizen.client.background import LoopThread, is_current, loop_thread
from denizen.client.client import Client
from denizen.client.dispatcher import Dispatcher
from denizen.client.events import Handler
from denizen.client.handle import ActorHandle
from denizen.client.settings import Settings
from denizen.core.errors import NotConnected


class _Session:
    """What one sync client has in one process. Made and used on the loop's thread."""

    def __init__(self, thread: LoopThread, client: Client, settings: Settings) -> None:
        self.thread = thread
        self.client = client
        self.dispatcher = Dispatcher(settings.events_waiting_max)
        self.handles: WeakKeyDictionary[HandleTwin, ActorHandle] = WeakKeyDictionary()


class ClientTwin:
    """A client whose methods wait. Threads may share it."""

    def __init__(self, make: Callable[[], Client], settings: Settings) -> None:
        make()  # what is wrong with the arguments is said here, not at the first call
        self._make = make
        self._settings = settings
        self._session: _Session | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shut()

    def _run(self, use: Callable[[_Session], Any]) -> Any:
        """Follow `use` on the loop's thread and return what it returns, awaited where need be."""
        if self._is_closed:
            raise NotConnected("The client is closed: make a new one.")
        thread = loop_thread()
        return thread.run(self._follow(thread, use))

    async def _follow(self, thread: LoopThread, use: Callable[[_Session], Any]) -> Any:
        session = self._session
        if session is None or session.thread is not thread:
            # The first use in this process. A session from before a fork is the parent's.
            session = self._session = _Session(thread, self._make(), self._settings)
        result = use(session)
        return await result if inspect.isawaitable(result) else result

    def _shut(self) -> None:
        session = self._session
        self._is_closed = True
        if session is not None and is_current(session.thread):
            session.thread.run(session.client.close())
            session.dispatcher.end(self._settings.close_timeout_s)


class HandleTwin:
    """One actor, for code that waits. Its attributes are its actions: `handle.increment(2)`."""

    def __init__(self, client: ClientTwin, find: Callable[[Client], Any]) -> None:
        self._client = client
        self._find = find
        self._described = self._run(str)  # says here what is wrong with the address

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} can't be an action: it begins with '_'.")

        def action(*args: Any, **named: Any) -> Any:
            return self._run(lambda handle: getattr(handle, name)(*args, **named))

        return action

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._described}>"

    def _run(self, use: Callable[[ActorHandle], Any]) -> Any:
        return self._client._run(lambda session: use(self._handle_of(session)))

    def _handle_of(self, session: _Session) -> ActorHandle:
        handle = session.handles.get(self)
        if handle is None:
            handle = session.handles[self] = self._find(session.client)
        return handle

    def _listen(
        self, add: Callable[[ActorHandle, Handler], Callable[[], None]], handler: Handler
    ) -> Callable[[], None]:
        """Add a handler that runs on the client's dispatcher; returns what takes it off."""

        def add_dispatched(session: _Session) -> tuple[LoopThread, Callable[[], None]]:
            dispatched = session.dispatcher.wrap(handler)
            return session.thread, add(self._handle_of(session), dispatched)

        thread, off = self._client._run(add_dispatched)

        async def take_off() -> None:
            off()

        def off_from_here() -> None:
            if is_current(thread) and not self._client._is_closed:
                thread.run(take_off())

        return off_from_here
