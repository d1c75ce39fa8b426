"""How an error reads over HTTP: status, headers and the JSON body of the protocol.

Pure but for one thing: an exception that isn't ours is logged here, under the reference that its
answer carries.
"""

from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import msgspec

from denizen.core import clock, entropy
from denizen.core.errors import DenizenError, InternalError, code_of
from denizen.gateway.cors import Headers
from denizen.telemetry import logs
from denizen.wire import values

RETRY_AFTER_S = 1
log = logs.get("gateway")


def handled_error(error: Exception, doing: str) -> DenizenError:
    """The error that a caller may see, for the exception that is being handled.

    Of anything that isn't ours only the log has the story.
    """
    if isinstance(error, DenizenError):
        return error
    reference = entropy.token_hex(8)
    log.exception(f"{doing} failed", reference=reference)
    return InternalError(reference)


def error_body(error: DenizenError) -> bytes:
    """`{"code", "message", "metadata"?}` as JSON."""
    body: dict[str, Any] = {"code": code_of(error), "message": error.message}
    if error.metadata is not None:
        try:
            body["metadata"] = values.plain(error.metadata)
        except values.Unencodable as problem:
            log.warning("an error's metadata was left out", code=code_of(error), why=str(problem))
    return msgspec.json.encode(body)


def error_headers(error: DenizenError) -> Headers:
    """The headers of an error's answer."""
    headers = [(b"content-type", b"application/json")]
    if error.is_retryable:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return headers


def date_header() -> tuple[bytes, bytes]:
    """The Date header of this second."""
    return b"date", formatdate(clock.now(), usegmt=True).encode()


def last_answer(error: DenizenError, extra: Headers) -> bytes:
    """A whole HTTP/1.1 response that ends its connection, as bytes."""
    body = error_body(error)
    headers = [
        *error_headers(error),
        *extra,
        date_header(),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    status = HTTPStatus(error.status)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
