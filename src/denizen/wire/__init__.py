"""Messages of every link, sans-I/O: bytes in, messages out, and back.

`values` is what travels between rooms, `v1` the client protocol, `runtime` what host and body
say to each other, `calls` the proxies that the client and the SDK share. No sockets, no tasks.
"""
