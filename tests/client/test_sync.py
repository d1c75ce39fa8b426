"""The sync twin: one loop thread, callers of every kind, forks, interrupts and exits."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from denizen.client import ActorHandle, Client, Settings, SyncActorHandle, SyncClient
from denizen.core.errors import InvalidKey, InvalidUrl, NotConnected, OutcomeUnknown, UserError
from tests.client.peer import Peer

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def peer_in_a_thread() -> Iterator[Peer]:
    """A peer on a loop of its own, for tests that block."""
    made: Queue[tuple[Peer, asyncio.Event, asyncio.AbstractEventLoop]] = Queue()

    async def serve() -> None:
        peer, may_end = Peer(), asyncio.Event()
        await peer.start()
        made.put((peer, may_end, asyncio.get_running_loop()))
        await may_end.wait()
        await peer.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    peer, may_end, loop = made.get(timeout=10)
    try:
        yield peer
    finally:
        loop.call_soon_threadsafe(may_end.set)
        thread.join(10)


def run_script(script: str, url: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own; it has to end by itself."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, url],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )


def test_calls_answer_and_raise() -> None:
    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        counter = client.get("counter", "a")
        assert counter.increment(2) == 2
        assert counter.call("increment", 3, timeout_s=5) == 5
        with pytest.raises(UserError, match="can't be done") as own:
            counter.fail("too_late")
        assert own.value.user_code == "too_late"
        with pytest.raises(OutcomeUnknown):
            counter.call("hang", timeout_s=0.05)
        assert repr(counter) == "<SyncActorHandle counter/a>"


async def test_a_loop_that_runs_in_the_calling_thread_is_no_matter() -> None:
    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        assert client.get("counter").increment() == 1


def test_threads_share_a_client() -> None:
    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda _: client.get("counter").increment(), range(100)))
        assert sorted(got) == list(range(1, 101))
        assert len(peer.all_links) == 1
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("denizen-client") == 1


def test_handlers_run_in_order_on_a_thread_of_their_own_and_may_call() -> None:
    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        counter = client.get("counter")
        got: Queue[Any] = Queue()

        def handler(number: int) -> None:
            got.put((counter.echo(number), threading.current_thread().name))

        off = counter.on("changed", handler)
        counter.once("changed", lambda number: got.put("once"))
        for number in range(3):
            counter.emit("changed", number)
        seen = [got.get(timeout=10) for _ in range(4)]
        thread = "denizen-events"
        assert seen == [(0, thread), "once", (1, thread), (2, thread)]
        off()
        off()
        counter.emit("changed", 3)
        assert peer.links[0].subscriptions == set()
        assert got.empty()


def test_a_handler_that_raises_or_closes_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        counter = client.get("counter")
        closed = threading.Event()

        def broken() -> None:
            raise KeyError("broken")

        def close() -> None:
            client.close()
            closed.set()

        counter.on("changed", broken)
        counter.on("changed", close)
        counter.call("emit", "changed")
        assert closed.wait(10)
        assert "'broken'" in caplog.text


def test_slow_handlers_lose_events_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(events_waiting_max=2)
    with peer_in_a_thread() as peer, SyncClient(peer.url, settings=settings) as client:
        counter = client.get("counter")
        may_end = threading.Event()
        began = threading.Event()
        got: Queue[int] = Queue()

        def slow(number: int) -> None:
            began.set()
            may_end.wait(10)
            got.put(number)

        counter.on("changed", slow)
        counter.emit("changed", 0)
        assert began.wait(10)
        for number in range(1, 6):
            counter.emit("changed", number)
        may_end.set()
        assert [got.get(timeout=10) for _ in range(3)] == [0, 1, 2]
        assert "too slow" in caplog.text


def test_closing_settles_calls_of_other_threads() -> None:
    with peer_in_a_thread() as peer:
        client = SyncClient(peer.url)
        counter = client.get("counter")
        counter.increment()
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(counter.hang)
            while all(frame["n"] != "hang" for frame in peer.links[0].frames):
                counter.increment()
            client.close()
            with pytest.raises(OutcomeUnknown):
                hanging.result(timeout=10)
        with pytest.raises(NotConnected, match="closed"):
            counter.increment()
        with pytest.raises(NotConnected, match="closed"):
            client.get("counter")
        client.close()


def test_what_cant_be_meant_is_refused_at_once() -> None:
    with pytest.raises(InvalidUrl):
        SyncClient("nowhere")
    with SyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(InvalidKey):
            client.get_by_id("counter", "x")
        counter = client.get("counter")
        with pytest.raises(AttributeError):
            counter._secret  # noqa: B018
        with pytest.raises(TypeError, match="plain function"):
            counter.on("changed", asyncio.sleep)
        with pytest.raises(NotConnected, match="is it running"):
            counter.connect(timeout_s=0.05)
        counter.disconnect()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_an_interrupt_ends_the_wait_and_not_the_client() -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupt

    with peer_in_a_thread() as peer, SyncClient(peer.url) as client:
        counter = client.get("counter")
        counter.increment()
        before = signal.signal(signal.SIGUSR1, interrupt)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        try:
            with pytest.raises(Interrupt):
                counter.hang()
        finally:
            signal.signal(signal.SIGUSR1, before)
            timer.join()
        assert counter.increment() == 2


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "client.close()",
        "counter.on('changed', lambda: time.sleep(600)); counter.emit('changed')",
        "threading.Thread(target=hang, daemon=True).start(); counter.increment()",
        "atexit.register(counter.increment)",
    ],
)
def test_the_interpreter_ends_without_hanging_or_noise(ending: str) -> None:
    script = f"""
import atexit, sys, threading, time
from denizen.client import SyncClient
from denizen.core.errors import OutcomeUnknown
client = SyncClient(sys.argv[1])
counter = client.get("counter")
counter.increment()
def hang():
    try:
        counter.hang()
    except OutcomeUnknown:
        pass
{ending}
print("done")
"""
    with peer_in_a_thread() as peer:
        done = run_script(script, peer.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
def test_a_fork_gives_the_child_connections_of_its_own() -> None:
    script = """
import os, sys
from denizen.client import SyncClient
client = SyncClient(sys.argv[1])
counter = client.get("counter")
off = counter.on("changed", print)
assert counter.increment() == 1
child = os.fork()
if child == 0:
    off()
    assert counter.increment() == 2
    client.close()
    os._exit(7)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7, status
assert counter.increment() == 3
off()
"""
    with peer_in_a_thread() as peer:
        done = run_script(script, peer.url)
        links = peer.all_links
        assert (done.returncode, done.stderr) == (0, "")
        assert len(links) == 2
        assert [frame["kind"] for frame in links[0].frames] == ["sr", "rr", "rr", "sr"]
        assert [frame["kind"] for frame in links[1].frames] == ["rr"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
def test_a_client_made_before_a_fork_is_used_only_after_it() -> None:
    script = """
import os, sys, threading
from denizen.client import SyncClient
client = SyncClient(sys.argv[1])
assert threading.active_count() == 1
children = [os.fork() for _ in range(1)]
if 0 in children:
    with client:
        client.get("counter").increment()
    os._exit(0)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
assert client.get("counter").increment() == 2
"""
    with peer_in_a_thread() as peer:
        done = run_script(script, peer.url)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("twin", "source"), [(SyncClient, Client), (SyncActorHandle, ActorHandle)])
def test_the_twin_has_the_signatures_of_the_source(twin: type, source: type) -> None:
    names = {name for name, _ in inspect.getmembers(source, callable) if not name.startswith("_")}
    assert names == {
        name for name, _ in inspect.getmembers(twin, callable) if not name.startswith("_")
    }
    for name in [*names, "__init__"][: None if source is Client else -1]:
        ours = inspect.signature(getattr(twin, name)).parameters
        theirs = inspect.signature(getattr(source, name)).parameters
        assert list(ours.values()) == list(theirs.values()), name


def test_the_twin_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "generate_sync_client.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
