"""What an application imports to call actors: `Client`, and `SyncClient` for plain code."""

from denizen.client._sync import SyncActorHandle, SyncClient
from denizen.client.client import Client
from denizen.client.handle import ActorHandle
from denizen.client.settings import Settings

__all__ = ["ActorHandle", "Client", "Settings", "SyncActorHandle", "SyncClient"]
