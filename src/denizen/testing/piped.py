"""Bodies in a second process: the proof that host and body share messages and nothing else.

The child runs the Python bodies of a module's `ACTORS` on a loop of its own. The messages of
`wire.runtime` travel as msgpack over a socket pair, each behind its length. A tool of tests: one slow
child stops the whole host.
"""

import asyncio
import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from denizen.core.limits import Limits
from denizen.host.runtimes.python import PythonRuntime
from denizen.wire.runtime import Body, Say, ToBody, ToHost, TypeInfo

_LENGTH_BYTES = 4
_READ_BYTES = 262_144


class _Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of what goes through the pipe."""


class _Make(_Frame, frozen=True):
    body_id: int
    type_name: str
    limits: Limits


class _Tell(_Frame, frozen=True):
    body_id: int
    message: ToBody


class _Stop(_Frame, frozen=True):
    body_id: int


class _Said(_Frame, frozen=True):
    body_id: int
    message: ToHost


class _Types(_Frame, frozen=True):
    types: dict[str, TypeInfo]


_encode = msgspec.msgpack.Encoder().encode
_decode_to_child = msgspec.msgpack.Decoder(_Make | _Tell | _Stop).decode
_decode_to_parent = msgspec.msgpack.Decoder(_Said | _Types).decode


def _framed(frame: _Frame) -> bytes:
    payload = _encode(frame)
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class _Frames:
    """Bytes in, whole payloads out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while len(self._buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH_BYTES:end])
            del self._buffer[:end]
            yield payload


class BodyProcess:
    """A child process in which the bodies of one module live."""

    def __init__(self, module: str, root: Path) -> None:
        """`module` has a list `ACTORS` and is imported from `root`."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), module],
                pass_fds=[theirs.fileno()],
                cwd=root,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
            )
        self._frames = _Frames()
        self._says: dict[int, Say] = {}
        self._next_body = 0
        self.types = self._read_types()

    def _read_types(self) -> dict[str, TypeInfo]:
        while True:
            data = self._socket.recv(_READ_BYTES)
            assert data, "the child ended before it told of its types: see its error output"
            for payload in self._frames.feed(data):
                first = _decode_to_parent(payload)
                assert isinstance(first, _Types)
                return first.types

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hear the bodies on the running loop until the block ends."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        self._socket.setblocking(True)  # the loop has unset it
        try:
            yield
        finally:
            loop.remove_reader(self._socket)
            self._says.clear()

    def _read(self) -> None:
        data = self._socket.recv(_READ_BYTES)
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket)
            raise ConnectionResetError("the bodies' process has ended")
        for payload in self._frames.feed(data):
            said = _decode_to_parent(payload)
            assert isinstance(said, _Said)
            say = self._says.get(said.body_id)
            if say is not None:
                say(said.message)

    def _send(self, frame: _Frame) -> None:
        # Blocking is harmless: the child reads whatever it is doing with its own writes.
        self._socket.sendall(_framed(frame))

    def make_body(self, type_name: str, limits: Limits, say: Say) -> Body:
        body_id, self._next_body = self._next_body, self._next_body + 1
        self._says[body_id] = say
        self._send(_Make(body_id, type_name, limits))
        return _FarBody(self, body_id)

    def close(self) -> None:
        """End the child: its socket's end is its signal."""
        self._socket.close()
        self._child.wait(timeout=10)


class PipedRuntime:
    """`wire.runtime.Runtime` with its bodies in a `BodyProcess`."""

    def __init__(self, process: BodyProcess, limits: Limits) -> None:
        self._process = process
        self._limits = limits

    def types(self) -> dict[str, TypeInfo]:
        return self._process.types

    def make_body(self, type_name: str, say: Say) -> Body:
        return self._process.make_body(type_name, self._limits, say)

    def close(self) -> None:
        """The process goes on: it serves other hosts after this one."""


class _FarBody:
    """What a host holds of a body in the child."""

    def __init__(self, process: BodyProcess, body_id: int) -> None:
        self._process = process
        self._id = body_id

    def receive(self, message: ToBody) -> None:
        self._process._send(_Tell(self._id, message))

    def stop(self) -> None:
        self._process._says.pop(self._id, None)
        self._process._send(_Stop(self._id))


class _Child(asyncio.Protocol):
    """The child's side."""

    def __init__(self, module: str) -> None:
        self._classes = importlib.import_module(module).ACTORS
        self._runtimes: dict[bytes, PythonRuntime] = {}
        self._bodies: dict[int, Body] = {}
        self._frames = _Frames()
        self._transport: asyncio.Transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are transports by shape only.
        self._transport = cast(asyncio.Transport, transport)
        self._write(_Types(PythonRuntime(self._classes).types()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            self._take(_decode_to_child(payload))

    def _take(self, frame: _Make | _Tell | _Stop) -> None:
        if isinstance(frame, _Make):
            body_id = frame.body_id
            runtime = self._runtime_with(frame.limits)
            self._bodies[body_id] = runtime.make_body(
                frame.type_name, lambda message: self._write(_Said(body_id, message))
            )
        elif isinstance(frame, _Tell):
            self._bodies[frame.body_id].receive(frame.message)
        else:
            self._bodies.pop(frame.body_id).stop()

    def _runtime_with(self, limits: Limits) -> PythonRuntime:
        key = _encode(limits)
        runtime = self._runtimes.get(key)
        if runtime is None:
            runtime = self._runtimes[key] = PythonRuntime(self._classes, limits)
        return runtime

    def _write(self, frame: _Frame) -> None:
        self._transport.write(_framed(frame))


async def _serve(fd: int, module: str) -> None:
    loop = asyncio.get_running_loop()
    _, child = await loop.create_connection(lambda: _Child(module), sock=socket.socket(fileno=fd))
    await child.ended
    # At once: code under test may refuse to be cancelled, and would keep this process for ever.
    os._exit(0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), sys.argv[2]))
