"""The yardstick: a bare data plane, as fast as pure Python does it, that really syncs.

Frames in, dispatch, one step of an `async def` handler, one group commit at a time in one
writer thread, corked replies out after the sync. No limits, hooks, turns or validation live
here: what the product costs beyond this file is what those cost.

    python -m bench.prototype --port 7430 --data DIR
"""

import argparse
import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import apsw
import msgspec
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

KEY_SEGMENT = 3  # of /actors/TYPE/KEY/connect


class Request(msgspec.Struct, gc=False):
    i: int
    n: str
    a: msgspec.Raw


class RequestBody(msgspec.Struct, gc=False):
    rr: Request


class RequestFrame(msgspec.Struct, gc=False):
    body: RequestBody


class Reply(msgspec.Struct, gc=False):
    i: int
    o: Any


class ReplyBody(msgspec.Struct, gc=False):
    ro: Reply


class ReplyFrame(msgspec.Struct, gc=False):
    body: ReplyBody


decode_frame = msgspec.json.Decoder(RequestFrame).decode
decode_arguments = msgspec.json.Decoder(list[int]).decode
encode_json = msgspec.json.Encoder().encode
encode_state = msgspec.msgpack.Encoder().encode


class CounterState(msgspec.Struct):
    count: int = 0


decode_state = msgspec.msgpack.Decoder(CounterState).decode


class Counter:
    """The one actor type: its state is a row, its actions are coroutines."""

    __slots__ = ("key", "state")

    def __init__(self, key: str, row: bytes | None) -> None:
        self.key = key
        self.state = CounterState() if row is None else decode_state(row)

    async def increment(self, by: int = 1) -> int:
        self.state.count += by
        return self.state.count

    async def get(self) -> int:
        return self.state.count


ACTIONS = {"increment": Counter.increment, "get": Counter.get}


def packed(payload: bytes) -> bytes:
    """A server's text frame around a short payload."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    return b"\x81\x7e" + size.to_bytes(2, "big") + payload


class Group:
    """What one commit covers: the actors that changed, and the replies that wait for it."""

    __slots__ = ("actors", "replies")

    def __init__(self) -> None:
        self.actors: dict[str, Counter] = {}
        self.replies: dict[Any, list[bytes]] = {}

    def send_replies(self) -> None:
        for write, frames in self.replies.items():
            write(frames[0] if len(frames) == 1 else b"".join(frames))


class Store:
    """One SQLite file, WAL and FULL: a commit returns after its sync."""

    def __init__(self, directory: Path) -> None:
        self._connection = apsw.Connection(str(directory / "prototype.db"))
        execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute("CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def read(self, key: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM rows WHERE key=?", (key,)).fetchone()
        return None if row is None else row[0]

    def commit(self, rows: list[tuple[str, bytes]]) -> None:
        if len(rows) == 1:  # its own transaction, one statement
            self._connection.execute("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows[0])
            return
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows)
        execute("COMMIT")


class DataPlane:
    """Actors in memory, one group open, one group in the writer thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._actors: dict[str, Counter] = {}
        self._open = Group()
        self._flush_is_due = False
        self._committing = False
        self._groups: SimpleQueue[tuple[Group, list[tuple[str, bytes]]]] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write_groups, daemon=True).start()

    def actor(self, key: str) -> Counter:
        actor = self._actors.get(key)
        if actor is None:
            actor = self._actors[key] = Counter(key, self._store.read(key))
        return actor

    def call(self, actor: Counter, payload: memoryview, write: Any) -> None:
        request = decode_frame(payload).body.rr
        coroutine: Coroutine[Any, Any, Any] = ACTIONS[request.n](
            actor, *decode_arguments(request.a)
        )
        before = actor.state.count
        try:
            coroutine.send(None)
        except StopIteration as stopped:
            reply = packed(encode_json(ReplyFrame(ReplyBody(Reply(request.i, stopped.value)))))
        else:
            raise RuntimeError("the prototype's actions never suspend")
        group = self._open
        if actor.state.count != before:
            group.actors[actor.key] = actor
        waiting = group.replies.get(write)
        if waiting is None:
            group.replies[write] = [reply]
        else:
            waiting.append(reply)
        if not self._flush_is_due and not self._committing:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        group, self._open = self._open, Group()
        if not group.actors:
            group.send_replies()
            return
        self._committing = True
        self._groups.put(
            (group, [(key, encode_state(actor.state)) for key, actor in group.actors.items()])
        )

    def _write_groups(self) -> None:
        while True:
            group, rows = self._groups.get()
            self._store.commit(rows)
            self._loop.call_soon_threadsafe(self._committed, group)

    def _committed(self, group: Group) -> None:
        self._committing = False
        group.send_replies()
        if self._open.replies:
            self._flush()


class Connection(WSListener):
    def __init__(self, plane: DataPlane, actor: Counter) -> None:
        self._call = plane.call
        self._actor = actor

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._write = transport.underlying_transport.write

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self._call(self._actor, frame.get_payload_as_memoryview(), self._write)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


async def serve(port: int, directory: Path) -> None:
    plane = DataPlane(Store(directory))

    def accept(request: WSUpgradeRequest) -> Connection:
        key = request.path.decode().split("/")[KEY_SEGMENT]
        return Connection(plane, plane.actor(key))

    server = await ws_create_server(accept, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    uvloop.run(serve(options.port, options.data))


if __name__ == "__main__":
    main()
