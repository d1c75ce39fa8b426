"""This machine: its cores, its disk's sync time, and what the kernel counts for a process."""

import os
import shutil
import socket
import statistics
import tempfile
import time
from pathlib import Path

APPEND = 4096
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
GENERATOR_CORE = _CORES[1] if len(_CORES) > 1 else _CORES[0]


def describe() -> str:
    """One line that says what the figures were taken on."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{len(_CORES)} cores ({model}), Linux {os.uname().release}; "
        f"servers on core {SERVER_CORE}, generator on core {GENERATOR_CORE}"
    )


def load_average() -> str:
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fdatasync_us(directory: Path, appends: int = 300) -> tuple[float, float]:
    """p50 and p99 of fdatasync after appending 4 KiB to a file that grows, in microseconds."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    taken: list[float] = []
    try:
        with tempfile.NamedTemporaryFile(dir=directory, buffering=0) as file:
            for _ in range(appends):
                file.write(os.urandom(APPEND))
                began_at = time.perf_counter()
                os.fdatasync(file.fileno())
                taken.append((time.perf_counter() - began_at) * 1e6)
    finally:
        os.sched_setaffinity(0, before)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid: int) -> int:
    """Bytes that a process gave to write calls: log, checkpoints, and the little that is replies.

    The kernel's own `write_bytes` counts whole page-cache folios, which a sync after each call makes
    several times what was written.
    """
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.partition(":")[2])
    raise RuntimeError("the kernel keeps no wchar for processes")


def find_program(name: str) -> str | None:
    return shutil.which(name)
