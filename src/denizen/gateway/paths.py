"""What the raw path and query of a request name.

Pure. Everything is read from the percent-encoded target, never from a decoded one: `%2C` and
`%2F` inside a key are part of the key, not its punctuation.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from denizen.core.address import DEFAULT_NAMESPACE, Address, parse_address
from denizen.core.errors import InvalidKey, MalformedConnectionParameters
from denizen.core.limits import Limits

_CONNECT = re.compile(
    r"(?:/ns/(?P<namespace>[^/]+))?/actors/(?P<type>[^/]+)/(?P<key>[^/]+)/connect"
)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUERY_PARTS_MAX = 32


class ConnectQuery(msgspec.Struct, frozen=True):
    """The query of a connection, percent-decoded."""

    version: str | None = None
    format: str | None = None
    params: str | None = None


def match_connect(path: str) -> Mapping[str, str | None] | None:
    """The raw parts of a connection's path (namespace, type, key), if it is one."""
    match = _CONNECT.fullmatch(path)
    return None if match is None else match.groupdict()


def address_of(parts: Mapping[str, str | None], limits: Limits) -> Address:
    """The address that raw path parts name. Raises `InvalidKey` or `InvalidNamespace`."""
    namespace = parts.get("namespace")
    return parse_address(
        DEFAULT_NAMESPACE if namespace is None else namespace,
        decode_segment(parts["type"] or ""),
        parts["key"] or "",
        limits,
    )


def decode_segment(raw: str) -> str:
    """One path segment as text. Raises `InvalidKey`."""
    try:
        return _unquote(raw)
    except ValueError:
        raise InvalidKey("The path isn't UTF-8 with correct percent-encoding.") from None


def parse_connect_query(query: str) -> ConnectQuery:
    """The query of a connection; of a name that comes twice the first one counts.

    Raises `MalformedConnectionParameters`.
    """
    pairs = (part.partition("=") for part in query.split("&", _QUERY_PARTS_MAX))
    raw: dict[str, str] = {}
    for name, _, value in pairs:
        raw.setdefault(name, value)
    try:
        return ConnectQuery(
            *(
                _unquote(raw[name].replace("+", " ")) if name in raw else None
                for name in ConnectQuery.__struct_fields__
            )
        )
    except ValueError:
        raise MalformedConnectionParameters(
            "The query isn't UTF-8 with correct percent-encoding."
        ) from None


def _unquote(raw: str) -> str:
    if _BAD_PERCENT.search(raw):
        raise ValueError("bad percent-encoding")
    return unquote_to_bytes(raw).decode()
