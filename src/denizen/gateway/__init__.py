"""The edge: one port on which clients reach actors, by WebSocket and by HTTP.

What stands behind the port is asked through `ports`; nothing here knows a host, a store or an
actor's code. Reading order: `listen` opens the port, `front` meets each connection, `guard` judges
its bytes, then `websocket` (picows) or `exchange` and `http` (uvicorn, Starlette) serve it.
`memory` is the same door without sockets; `packages` keeps the start short.

Pure, without I/O and clocks: `head`, `chunks`, `guard`, `paths`, `admit`, `cors`, `answers`.
"""

from denizen.gateway.packages import import_parts_only

# Before any file of this folder imports them.
import_parts_only("picows")
import_parts_only("uvicorn")
