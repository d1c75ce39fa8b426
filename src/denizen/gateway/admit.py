"""Who may come in: the one place where a request gets its principal.

Pure. The Host header is checked because a foreign page can make its own name lead to this machine
(DNS rebinding); the Origin header because a browser sends requests for any page.
"""

import re
from collections.abc import Iterable

import msgspec

from denizen.core.errors import Forbidden
from denizen.core.principal import ANONYMOUS, Principal

ANY = "*"
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/]+)")
_LOOPBACK_V4 = re.compile(r"127(?:\.[0-9]{1,3}){3}")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is let in, and as whom.

    Loopback hosts and origins always are. `hosts` are further host names without a port,
    `origins` further origins (`https://app.example`); `*` in either lets all in.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    principal: Principal = ANONYMOUS


def dev(*, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> Policy:
    """The policy of `denizen dev`: this machine's own pages and names, and what is listed."""
    return Policy(
        hosts=frozenset(host.lower() for host in hosts),
        origins=frozenset(origin.lower().rstrip("/") for origin in origins),
    )


def admit(policy: Policy, host: str | None, origin: str | None) -> Principal:
    """The principal of a request with that Host and Origin header. Raises `Forbidden`."""
    if not allows_host(policy, host):
        raise Forbidden(
            "This server isn't called by that host name: use localhost, or allow the name."
        )
    if origin is not None and not allows_origin(policy, origin, host):
        raise Forbidden("Pages of that origin may not call this server: allow the origin.")
    return policy.principal


def allows_host(policy: Policy, host: str | None) -> bool:
    """Whether the server may be called by the name in a Host header; none at all is fine."""
    if host is None or ANY in policy.hosts:
        return True
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].lower()
    return _is_loopback(name) or name in policy.hosts


def allows_origin(policy: Policy, origin: str, host: str | None) -> bool:
    """Whether pages of that origin may call: loopback, listed, or served from this very host."""
    if ANY in policy.origins or origin.lower() in policy.origins:
        return True
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    if host is not None and match["host"].lower() == host.lower():
        return allows_host(policy, host)
    name = _HOST.fullmatch(match["host"])
    return name is not None and _is_loopback(name["name"].lower())


def _is_loopback(name: str) -> bool:
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or name == "[::1]"
        or _LOOPBACK_V4.fullmatch(name) is not None
    )
