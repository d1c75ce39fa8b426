"""Where an actor is reached: namespace, type and key, or its id.

In a path the key is one segment: its parts percent-encoded and joined by `,`; `-` stands for
the empty key and `~ID` for the actor of that id. A part that would read as `-` or begin with
`~` is percent-encoded, so every key has exactly one segment and every segment one meaning.
"""

import re
from urllib.parse import quote, unquote_to_bytes

import msgspec

from denizen.core.errors import InvalidKey, InvalidNamespace
from denizen.core.limits import DEFAULT, Limits

DEFAULT_NAMESPACE = "default"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ACTOR_ID = re.compile(r"[0-9a-f]{32}")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Address(msgspec.Struct, frozen=True):
    """One actor's place. With `actor_id` set, `key` says nothing."""

    namespace: str
    type: str
    key: tuple[str, ...] = ()
    actor_id: str | None = None

    @property
    def segment(self) -> str:
        """The key as the one path segment that stands for it."""
        return f"~{self.actor_id}" if self.actor_id is not None else format_key(self.key)

    @property
    def path(self) -> str:
        """The path at which the actor is served, without a trailing slash."""
        prefix = "" if self.namespace == DEFAULT_NAMESPACE else f"/ns/{self.namespace}"
        return f"{prefix}/actors/{quote(self.type, safe='')}/{self.segment}"

    def __str__(self) -> str:
        return f"{self.type}/{self.segment}"


def format_key(key: tuple[str, ...]) -> str:
    """The path segment of a key."""
    if not key:
        return "-"
    segment = ",".join(quote(part, safe="") for part in key)
    if segment == "-" or segment.startswith("~"):
        return f"%{ord(segment[0]):02X}{segment[1:]}"
    return segment


def parse_address(
    namespace: str, type_name: str, segment: str, limits: Limits = DEFAULT
) -> Address:
    """The address that a path's parts stand for.

    Raises `InvalidNamespace` or `InvalidKey`.
    """
    check_namespace(namespace)
    if segment.startswith("~"):
        if not _ACTOR_ID.fullmatch(segment[1:]):
            raise InvalidKey("After '~' an actor id of 32 hexadecimal digits must follow.")
        return Address(namespace, type_name, actor_id=segment[1:])
    return Address(namespace, type_name, parse_key(segment, limits))


def parse_key(segment: str, limits: Limits = DEFAULT) -> tuple[str, ...]:
    """The key that a path segment stands for. Raises `InvalidKey`."""
    if segment == "-":
        return ()
    if not segment:
        raise InvalidKey("The key is missing: write '-' for the empty key.")
    if _BAD_PERCENT.search(segment):
        raise InvalidKey("The key holds a '%' that isn't followed by two hexadecimal digits.")
    try:
        key = tuple(unquote_to_bytes(part).decode() for part in segment.split(","))
    except UnicodeDecodeError:
        raise InvalidKey("The key isn't UTF-8 after percent-decoding.") from None
    return check_key(key, limits)


def check_key(key: tuple[str, ...], limits: Limits = DEFAULT) -> tuple[str, ...]:
    """The key itself, when it is within its limits. Raises `InvalidKey`."""
    if key == ("",):
        raise InvalidKey("A key of one empty part can't be written in a path: use the empty key.")
    if len(key) > limits.key_parts_max:
        raise InvalidKey(f"A key has at most {limits.key_parts_max} parts, this one {len(key)}.")
    try:
        size = sum(len(part.encode()) for part in key)
    except UnicodeEncodeError:
        raise InvalidKey("A part of the key isn't valid text.") from None
    if size > limits.key_bytes_max:
        raise InvalidKey(f"A key has at most {limits.key_bytes_max} bytes, this one {size}.")
    return key


def check_namespace(namespace: str) -> str:
    """The namespace itself, when it is a name. Raises `InvalidNamespace`."""
    if not _NAMESPACE.fullmatch(namespace):
        raise InvalidNamespace(
            "A namespace has 1 to 63 characters of a-z, 0-9, '-' and '_' and begins with a letter or digit."
        )
    return namespace
