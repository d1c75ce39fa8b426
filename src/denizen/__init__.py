"""Denizen: durable actors, self-hosted, in Python."""

from typing import TYPE_CHECKING, Any

from denizen.core.errors import DenizenError, UserError
from denizen.sdk import Actor, Connection, action

if TYPE_CHECKING:
    from denizen.client import Client, SyncClient

__all__ = ["Actor", "Client", "Connection", "DenizenError", "SyncClient", "UserError", "action"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # An actor's module imports this package in every host: the client is loaded by who uses it.
    if name in ("Client", "SyncClient"):
        from denizen import client

        return getattr(client, name)
    raise AttributeError(f"module 'denizen' has no attribute {name!r}")
