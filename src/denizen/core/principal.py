"""Who asks. Every request carries a `Principal`; it is checked in one place, the gateway's `admit`."""

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """Somebody on whose behalf a request is made.

    `name` is empty for the anonymous one of `dev`; `rights` are what the request may do.
    """

    name: str = ""
    rights: frozenset[str] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        return not self.name


ANONYMOUS = Principal(rights=frozenset({"call", "connect", "create", "destroy", "list"}))
