"""No reply leaves before the fdatasync that covers it has returned: seen from outside, by strace."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.durability.link import PATIENCE_S, linked
from tests.durability.process import Process, dev_words, mutant_words
from tests.durability.system_calls import STRING_BYTES_MAX, TRACED, Judgement, judge

CALLS = 1_000
STRACE = shutil.which("strace")

needs_strace = pytest.mark.skipif(
    STRACE is None, reason="strace was not found: install it (Debian: apt install strace)"
)


def traced(words: list[str], trace: Path) -> list[str]:
    """The same command, under strace."""
    options = ["-f", "-qq", "-y", "-s", str(STRING_BYTES_MAX), "-e", f"trace={TRACED}"]
    return [str(STRACE), *options, "-e", "signal=none", "-o", str(trace), *words]


async def draw_tokens(port: int, in_flight: int) -> list[str]:
    """A thousand calls on one connection, so many at a time; what they answered."""
    left = iter(range(CALLS))

    async def draw() -> list[str]:
        return [await link.call("draw") for _ in left]

    async with asyncio.timeout(4 * PATIENCE_S), linked(port, "token/a") as link:
        lists = await asyncio.gather(*(draw() for _ in range(in_flight)))
    return sorted(token for drawn in lists for token in drawn)


async def watch(words: list[str], folder: Path, in_flight: int) -> Judgement:
    """Run a server under strace and judge what it did."""
    trace = folder / "trace"
    with Process(traced(words, trace), folder / "log") as process:
        tokens = await draw_tokens(process.port, in_flight)
        process.terminate()
    assert tokens == [f"token-{number:08d}" for number in range(1, CALLS + 1)]
    with trace.open(errors="replace") as lines:
        judgement = judge(lines)
    assert sorted(judgement.sent) == list(range(1, CALLS + 1)), "strace missed some replies"
    return judgement


@needs_strace
@pytest.mark.deadline(120)
@pytest.mark.parametrize("in_flight", [1, 8])
async def test_no_reply_leaves_before_its_sync_has_returned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_flight: int
) -> None:
    judgement = await watch(dev_words(tmp_path / "data"), tmp_path, in_flight)
    report(capsys, f"{in_flight} in flight", judgement)
    assert judgement.early == []
    assert judgement.syncs >= CALLS / in_flight


@needs_strace
@pytest.mark.deadline(120)
@pytest.mark.parametrize("mutation", ["unsynced", "early"])
async def test_replies_that_leave_too_early_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mutation: str
) -> None:
    judgement = await watch(mutant_words(tmp_path / "data", mutation), tmp_path, 1)
    report(capsys, f"1 in flight, mutation {mutation!r}", judgement)
    assert len(judgement.early) > CALLS // 10


def report(capsys: pytest.CaptureFixture[str], what: str, judgement: Judgement) -> None:
    with capsys.disabled():
        print(
            f"\n  {len(judgement.sent):,} replies under strace, {what}: {judgement.syncs:,} syncs "
            f"of the log, {len(judgement.early):,} replies left too early",
            end="",
        )


def test_the_order_of_lines_is_read_right() -> None:
    write = '7 pwrite64(5</d/x.db-wal>, "..token-00000001..", 4096, 32) = 4096'
    begin, end = "7 fdatasync(5</d/x.db-wal> <unfinished ...>", "7 <... fdatasync resumed>) = 0"
    reply = '6 write(9<socket:[1]>, "\\201 token-00000001", 44) = 44'
    assert judge([write, begin, end, reply]).early == []
    assert judge([write, begin, reply, end]).early == [1]
    assert judge([begin, write, end, reply]).early == [1]
    assert judge(
        [write, begin, "7 <... fdatasync resumed>) = -1 EIO (Input/output error)", reply]
    ).early == [1]
