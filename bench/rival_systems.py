"""Redis and workerd as systems under the same load: where they come from and how they start."""

import subprocess
from dataclasses import replace
from pathlib import Path

from bench import machine
from bench.generator import Load
from bench.servers import ROOT, System, exchange

WORKERD_VERSION = "1.20261117.1"
WORKERD_CONFIG = ROOT / "bench" / "workerd" / "config.capnp"
INSTALLED = ROOT / "build" / "rivals"
INSTALL_S = 300


class RivalMissing(Exception):
    """A rival can't be had on this machine; the message says what would help."""


def redis() -> System:
    """Debian's Redis with an append-only file synced before each reply. Raises `RivalMissing`."""
    program = machine.find_program("redis-server")
    if program is None:
        raise RivalMissing("redis-server was not found (Debian: apt install redis-server)")

    def words(port: int, directory: Path) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)]
        return [program, *place, *durable]

    def makes_first_call(port: int) -> bool:
        # not +OK while it reads its file after a crash
        return exchange(port, b"SET first 1\r\n", b"\r\n").startswith(b"+OK")

    def look(port: int) -> bytes:
        return exchange(port, b"GET k0\r\nPING\r\n", b"+PONG")

    return System("Redis", words, makes_first_call, makes_first_call, look, _as_redis)


def _as_redis(load: Load) -> Load:
    """A durable call as `SET kN value`, every value new."""
    return replace(load, mode="redis", counts_up=False)


def workerd() -> System:
    """workerd from npm with a Durable Object on SQLite. Raises `RivalMissing`."""
    program = _find_workerd() or _install_workerd()

    def words(port: int, directory: Path) -> list[str]:
        address = f"--socket-addr=http=127.0.0.1:{port}"
        storage = f"--directory-path=storage={directory}"
        return [program, "serve", str(WORKERD_CONFIG), address, storage]

    return System("workerd", words)


def _find_workerd() -> str | None:
    found = sorted(INSTALLED.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    return str(found[0]) if found else machine.find_program("workerd")


def _install_workerd() -> str:
    npm = machine.find_program("npm")
    if npm is None:
        raise RivalMissing("workerd comes from npm, which was not found (Debian: apt install npm)")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    words = [npm, "install", "--prefix", str(INSTALLED), "--no-audit", "--no-fund"]
    words += ["--ignore-scripts", f"workerd@{WORKERD_VERSION}"]
    print(f"installing workerd {WORKERD_VERSION} into {INSTALLED.relative_to(ROOT)}", flush=True)
    try:
        made = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise RivalMissing(f"npm did not install workerd within {INSTALL_S} s") from None
    program = _find_workerd()
    if made.returncode or program is None:
        raise RivalMissing(f"npm could not install workerd: {made.stderr.strip()[-500:]}")
    return program
