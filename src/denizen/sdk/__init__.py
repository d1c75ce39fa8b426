"""What an actor's author imports. It knows nothing of hosts: a body stands behind `Actor`.

`actor` is the base class, `actions` what may be called and how, `connections` who is listening.
"""

from denizen.core.errors import UserError
from denizen.sdk.actions import action
from denizen.sdk.actor import Actor
from denizen.sdk.connections import Connection

__all__ = ["Actor", "Connection", "UserError", "action"]
