"""Reads what strace saw, and judges whether a reply left before the sync that covers it.

strace holds a thread at both ends of a system call and writes a line at each: so the order of lines
is the order of events, and a call that others came between has two of them. A token drawn by
`actors.Token` is recognised in the pages that go into SQLite's log and in the frames that go to the
client. Tokens count up in one state, so a page with one of them covers all before it.

- S1 A write covers a sync only if it had returned before the sync began.
- S2 A token may be sent once a sync that covers it has returned with success.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

TRACED = "pwrite64,pwritev,fsync,fdatasync,write,writev,sendto,sendmsg"
STRING_BYTES_MAX = 131_072
"""What strace is to show of what is written: pages and coalesced replies in full."""

_BEGIN = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$", re.S)
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", re.S)
_RESULT = re.compile(r"\) += (-?\d+)[^=]*$")
_TOKEN = re.compile(r"token-(\d{8})")
_UNFINISHED = "<unfinished ...>"


@dataclass
class SystemCall:
    """One system call on a file: `path` is strace's, `text` what it was given."""

    name: str
    path: str
    text: str
    result: int = 0
    covered: int = 0
    """For a sync: the highest token that had been written when it began."""

    @property
    def is_sync(self) -> bool:
        return self.name in {"fsync", "fdatasync"}

    @property
    def is_on_log(self) -> bool:
        return self.path.endswith("-wal")

    @property
    def is_on_socket(self) -> bool:
        return self.path.startswith(("socket:", "TCP"))

    @property
    def tokens(self) -> list[int]:
        return [int(digits) for digits in _TOKEN.findall(self.text)]


def events(lines: Iterable[str]) -> Iterator[tuple[str, SystemCall]]:
    """("begin", call) and ("end", call), as they happened."""
    under_way: dict[str, SystemCall] = {}
    for line in lines:
        if resumed := _RESUMED.match(line):
            call = under_way.pop(resumed[1], None)
            if call is None:
                continue
        elif begun := _BEGIN.match(line):
            call = SystemCall(begun[2], begun[3], begun[4])
            yield "begin", call
            if line.rstrip().endswith(_UNFINISHED):
                under_way[begun[1]] = call
                continue
        else:
            continue
        result = _RESULT.search(line)
        call.result = int(result[1]) if result else -1
        yield "end", call


@dataclass
class Judgement:
    """What was sent, and what of it too early."""

    sent: list[int] = field(default_factory=list)
    early: list[int] = field(default_factory=list)
    syncs: int = 0


def judge(lines: Iterable[str]) -> Judgement:
    """Follow writes, syncs and sends."""
    judgement = Judgement()
    written = durable = 0
    for moment, call in events(lines):
        if call.is_on_log and call.is_sync:
            if moment == "begin":
                call.covered = written  # S1
            elif call.result == 0:
                judgement.syncs += 1
                durable = max(durable, call.covered)
        elif call.is_on_log and moment == "end" and call.result > 0:
            written = max(written, *call.tokens, 0)
        elif call.is_on_socket and moment == "begin":
            judgement.sent += call.tokens
            judgement.early += [token for token in call.tokens if token > durable]  # S2
    return judgement
