"""The store in one SQLite file: the default, for one machine.

One thread owns the one writing connection and makes groups durable; readers hold snapshots of
their own and are never in its way. What is where: `driver` is the store as others see it, `writer`
the thread, `snapshots` the readers, `files` how a database is opened and recognised, `statements`
the SQL, `heads` what guards are compared with.
"""

from denizen.store.sqlite.driver import SqliteStore
from denizen.store.sqlite.writer import SWITCH_INTERVAL_S

__all__ = ["SWITCH_INTERVAL_S", "SqliteStore"]
