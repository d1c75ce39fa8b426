"""Where actors live: instances, turns, gates, connections. It holds every promise, whatever the body is.

`host` finds or wakes the instance of an address; `instance` is one awake actor; `admission` decides
what may run beside what, `gate` what may leave when: both are machines without I/O. `connections`
is the client's side, `http` an actor's own HTTP. Bodies are in `runtimes`; `ports` is what the host needs.
"""
