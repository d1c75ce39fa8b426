"""What a browser is told about an origin that is let in.

Pure: who is let in is decided in `admit`, this file only words the headers.
"""

Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS = b"content-type, authorization"
_PREFLIGHT_AGE_S = b"600"
_ALLOW_ORIGIN = b"access-control-allow-origin"


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks beforehand, instead of the page that it asks for."""
    return method == "OPTIONS" and any(
        name == b"access-control-request-method" for name, _ in headers
    )


def preflight_headers(origin: bytes, headers: Headers) -> Headers:
    """The answer to a preflight of an allowed origin."""
    asked = next((v for n, v in headers if n == b"access-control-request-headers"), _HEADERS)
    return [
        *answer_headers(origin),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", _PREFLIGHT_AGE_S),
    ]


def answer_headers(origin: bytes | None) -> Headers:
    """What every answer carries; `origin` is None where none was sent or it isn't allowed."""
    vary = (b"vary", b"Origin")
    return [vary] if origin is None else [(_ALLOW_ORIGIN, origin), vary]


def with_origin(headers: Headers, origin: bytes | None) -> Headers:
    """An answer's headers with ours; an actor's app that speaks of origins itself has the word."""
    if any(name.lower() == _ALLOW_ORIGIN for name, _ in headers):
        return headers
    return [*headers, *answer_headers(origin)]
