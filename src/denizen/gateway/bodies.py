"""Bodies of the HTTP side: read within a bound, answered as JSON."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from denizen.core.errors import MalformedMessage, MessageTooLong


def json_answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response whose body is JSON already."""
    return Response(body, status, headers, "application/json")


async def read_body(request: Request, bytes_max: int) -> bytes:
    """A request's whole body. Raises `MessageTooLong` once it is longer than `bytes_max`."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                raise MessageTooLong(f"The body has more than {bytes_max} bytes.")
    except ClientDisconnect:
        raise MalformedMessage("The connection ended before the body did.") from None
    return bytes(body)
