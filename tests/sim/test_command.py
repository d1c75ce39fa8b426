"""`python -m denizen.testing.sim`: what it prints, and how a broken world is seen again."""

import pytest

from denizen.testing import sim
from tests.sim.removals import no_gate


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr("sys.argv", ["sim", *options])
    return sim.main()


def test_it_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--seeds", "3", "--start", "7") == 0
    printed = capsys.readouterr().out
    assert "worlds 3, of which with danger 3" in printed
    assert "calls acknowledged" in printed


def test_a_broken_world_prints_its_trace_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_gate(monkeypatch)
    assert run(monkeypatch, "--seed", "1") == 1
    printed = capsys.readouterr()
    assert "Violation: 2, nothing leaves before it is durable" in printed.err
    assert "The last events:" in printed.err
    assert "python -m denizen.testing.sim --seed 1" in printed.err
    assert "broken: python -m denizen.testing.sim --seed 1" in printed.out


def test_the_events_of_a_good_world_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--seed", "2", "--events", "50") == 0
    assert "frame.out" in capsys.readouterr().out
