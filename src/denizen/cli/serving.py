"""Serves actors in this process until it is told to end."""

import asyncio
import gc
import os
import signal
import socket
from pathlib import Path

import msgspec
import typer
import uvloop

import denizen
from denizen.cli.loading import Loaded, Source, load
from denizen.cli.screen import Failure
from denizen.core.errors import DenizenError
from denizen.server import Options, Server, log_to_stderr

_DATABASE = "denizen.db"


class DevOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `denizen dev` was told."""

    target: str
    host: str
    port: int
    data: Path
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    json_logs: bool
    reloads: bool

    @property
    def source(self) -> Source:
        return Source(self.target)

    def for_server(self) -> Options:
        """The part of it that the server knows."""
        return Options(
            store_url=f"sqlite://{self.data.absolute()}/{_DATABASE}",
            host=self.host,
            port=self.port,
            allowed_hosts=self.allowed_hosts,
            allowed_origins=self.allowed_origins,
        )


class Prepared:
    """A module that was loaded, and a server of its actors that isn't started."""

    def __init__(self, options: DevOptions) -> None:
        """Raises `Failure` if the module can't be served."""
        log_to_stderr(json=options.json_logs)
        self._options = options
        self._loaded: Loaded = load(options.source)
        try:
            self._server = Server(options.for_server(), self._loaded.classes)
        except TypeError as error:  # two classes of one type
            raise Failure(str(error)) from None

    async def serve(
        self, ends_at: tuple[int, ...], parent: socket.socket | None = None, *, again: bool = False
    ) -> None:
        """Serve until one of the signals `ends_at`; a second one ends the process at once.

        parent: ends the process at once when its far end closes. again: this process follows
        another one, so that its greeting may be short. Raises `Failure` if it can't begin.
        """
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in ends_at:
            loop.add_signal_handler(number, _end, ending, number)
        if parent is not None:
            loop.add_reader(parent, os._exit, 1)
        try:
            await self._server.start()
        except DenizenError as error:
            raise Failure(error.message) from None
        try:
            self._greet(again)
            gc.freeze()
            await ending.wait()
        finally:
            await self._server.stop()

    def _greet(self, again: bool) -> None:
        url, loaded = self._server.url, self._loaded
        names = ", ".join(cls.__actor_type__ for cls in loaded.classes)
        if again:
            typer.echo(f"Started anew with {names}.")
            return
        typer.echo(f"Denizen {denizen.__version__} serves {names} on {typer.style(url, bold=True)}")
        if loaded.page is not None:
            typer.echo(f"The page: {typer.style(url + loaded.page, bold=True)}")
        reload = ", starts anew when the code changes" if self._options.reloads else ""
        typer.echo(f"Keeps data in {self._options.data}/{reload}. Ctrl-C ends it.")


def run(options: DevOptions) -> int:
    """Load and serve in this process; the exit code. Raises `Failure`."""
    prepared = Prepared(options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(prepared.serve((signal.SIGTERM, signal.SIGINT)))
    return 0


def _end(ending: asyncio.Event, number: int) -> None:
    if ending.is_set():
        os._exit(128 + number)
    ending.set()
