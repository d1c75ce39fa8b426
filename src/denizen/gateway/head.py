"""A request's head, read once and strictly.

Pure: bytes in, a `Head` or an error out. What two readers could understand differently is refused
here, before a second parser (uvicorn's) sees it: that is what request smuggling lives on.
"""

import re

import msgspec

from denizen.core.errors import MalformedMessage, MethodNotAllowed

END = b"\r\n\r\n"
METHODS = frozenset(
    b"COPY DELETE GET HEAD LOCK MKCOL MOVE OPTIONS PATCH POST PROPFIND PROPPATCH PUT REPORT "
    b"SEARCH UNLOCK".split()
)
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-\"$-~]*) HTTP/1\.([01])")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class Head(msgspec.Struct, frozen=True):
    """One request's head. Header names are in lower case; `raw` is what came, with its end."""

    method: str
    target: str
    is_http_1_0: bool
    headers: tuple[tuple[bytes, bytes], ...]
    content_length: int
    is_chunked: bool
    raw: bytes

    @property
    def path(self) -> str:
        """The target before the query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks for another protocol on this connection."""
        return self.get(b"upgrade") is not None

    @property
    def is_websocket(self) -> bool:
        return (
            self.method == "GET"
            and not self.is_http_1_0
            and b"websocket" in self.tokens(b"upgrade")
            and b"upgrade" in self.tokens(b"connection")
        )

    def get(self, name: bytes) -> bytes | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    def text(self, name: bytes) -> str | None:
        value = self.get(name)
        return None if value is None else value.decode("latin-1")

    def tokens(self, name: bytes) -> list[bytes]:
        """A header's comma-separated parts in lower case, over all its lines."""
        lines = b",".join(value for key, value in self.headers if key == name)
        return [token.strip().lower() for token in lines.split(b",")]

    def without_upgrade(self) -> bytes:
        """The head as bytes, without the wish for another protocol: it is then plain HTTP."""
        kept = [
            b"%s: %s" % (name, value)
            for name, value in self.headers
            if name not in (b"upgrade", b"connection", b"http2-settings")
        ]
        if b"close" in self.tokens(b"connection"):
            kept.append(b"connection: close")
        return b"\r\n".join((self.raw.partition(b"\r\n")[0], *kept)) + END


def has_bare_line_feed(data: bytes | bytearray, begin: int) -> bool:
    """Whether a line after `begin` ends with a line feed alone, which no client should send."""
    return _BARE_LINE_FEED.search(data, max(begin - 1, 0)) is not None


def parse_head(raw: bytes) -> Head:
    """The head that `raw`, up to and with its empty line, stands for.

    Raises `MalformedMessage` or `MethodNotAllowed`.
    """
    request_line, *lines = raw[: -len(END)].split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(request_line)
    if line is None:
        raise MalformedMessage("The request line must read 'METHOD /path HTTP/1.1'.")
    method, target, minor = line.groups()
    if method not in METHODS:
        raise MethodNotAllowed("No path here is served for that method.")
    headers = tuple(map(_parse_line, lines))
    is_http_1_0 = minor == b"0"
    hosts = _values(headers, b"host")
    if len(hosts) > 1 or (not hosts and not is_http_1_0):
        raise MalformedMessage("A request must have one Host header.")
    content_length, is_chunked = _framing(headers, is_http_1_0)
    return Head(
        method.decode(), target.decode(), is_http_1_0, headers, content_length, is_chunked, raw
    )


def _parse_line(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or _NAME.fullmatch(name) is None:
        raise MalformedMessage("A header must read 'Name: value', on one line.")
    if _VALUE.fullmatch(value) is None:
        raise MalformedMessage("A header's value may not hold control characters.")
    return name.lower(), value.strip(b" \t")


def _values(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _framing(headers: tuple[tuple[bytes, bytes], ...], is_http_1_0: bool) -> tuple[int, bool]:
    lengths = _values(headers, b"content-length")
    codings = _values(headers, b"transfer-encoding")
    if lengths and codings:
        raise MalformedMessage("Send Content-Length or Transfer-Encoding, not both.")
    if codings:
        if is_http_1_0 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise MalformedMessage("The only Transfer-Encoding served is 'chunked', in HTTP/1.1.")
        return 0, True
    if not lengths:
        return 0, False
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise MalformedMessage("Content-Length must be one number.")
    return int(lengths[0]), False
