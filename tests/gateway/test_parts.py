"""The small pure parts: who is let in, close frames, the shared timer."""

import asyncio

import pytest

from denizen.core.errors import Forbidden
from denizen.gateway.admit import Policy, admit, dev
from denizen.gateway.peer import close_frame
from denizen.gateway.sweep import Sweep


@pytest.mark.parametrize(
    "host",
    [None, "localhost", "LOCALHOST:7420", "127.0.0.1", "127.8.9.1:1", "[::1]:7420", "a.localhost"],
)
@pytest.mark.parametrize(
    "origin",
    [None, "http://localhost", "https://localhost:3000", "http://127.0.0.1:1", "http://[::1]:5"],
)
def test_this_machine_may_come_in(host: str | None, origin: str | None) -> None:
    admit(dev(), host, origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("localhost.evil.example", None),
        ("127.0.0.1.evil.example", None),
        ("localhost@evil.example", None),
        ("0.0.0.0:7420", None),
        ("", None),
        ("localhost:7420:1", None),
        ("evil.example", "http://evil.example"),
        (None, "https://evil.example"),
        ("localhost", "null"),
        ("localhost", ""),
        ("localhost", "http://localhost.evil.example"),
        ("localhost", "http://localhost/path"),
        ("localhost", "file://localhost"),
        ("localhost", "chrome-extension://localhost"),
    ],
)
def test_others_may_not(host: str | None, origin: str | None) -> None:
    with pytest.raises(Forbidden):
        admit(dev(), host, origin)


def test_what_is_listed_may() -> None:
    policy = dev(hosts=["Box.lan"], origins=["https://App.example/"])
    admit(policy, "box.lan:7420", "https://app.example")
    admit(policy, "box.lan:7420", "http://box.lan:7420")
    with pytest.raises(Forbidden):
        admit(policy, "box.lan:7420", "http://box.lan:1")
    open_to_all = Policy(hosts=frozenset("*"), origins=frozenset("*"))
    admit(open_to_all, "any.example", "null")


def test_a_reason_that_is_too_long_is_cut_at_a_character() -> None:
    frame = close_frame(1000, "é" * 100)
    assert len(frame) - 2 == frame[1] <= 125
    assert frame[4:].decode() == "é" * 61


class Visited:
    def __init__(self, *, fails: bool = False) -> None:
        self.visits = 0
        self.fails = fails
        self.twice = asyncio.Event()

    def sweep(self, now: float) -> None:
        self.visits += 1
        if self.visits >= 2:
            self.twice.set()
        if self.fails:
            raise ValueError("a member that fails")


async def test_everyone_is_visited_once_a_round_whoever_fails() -> None:
    sweep = Sweep(0.01, shares=5)
    members = [Visited(fails=n == 3) for n in range(20)]
    for member in members:
        sweep.add(member)
    sweep.start()
    for member in members:
        await asyncio.wait_for(member.twice.wait(), 5)
    sweep.discard(members[0])
    assert len(sweep) == 19
    assert max(m.visits for m in members) - min(m.visits for m in members) <= 2
    sweep.stop()
