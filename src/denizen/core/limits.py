"""The one table of limits.

Each field is a default that can be set. `docs/reference/limits.md` is made from this file, so
the line beside a number is the line that users read. Sizes are in bytes, durations in seconds.
"""

from typing import Annotated, get_args, get_type_hints

import msgspec


class Limit(msgspec.Struct, frozen=True):
    """What a limit bounds, and what happens over it."""

    what: str
    over: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of one process. Made once, handed down, never changed."""

    frame_bytes_max: Annotated[
        int, Limit("an incoming frame or call body", "`message_too_long`; the connection stays")
    ] = 65_536
    frame_bytes_hard_max: Annotated[
        int, Limit("an incoming frame before it is read at all", "closed with 1009")
    ] = 1_048_576
    head_bytes_max: Annotated[int, Limit("a request's head", "431; closed")] = 32_768
    head_timeout_s: Annotated[
        float,
        Limit("time to send a request's head, on every request of a kept connection", "closed"),
    ] = 10.0
    body_timeout_s: Annotated[float, Limit("time to send a request's body", "408; closed")] = 30.0
    body_bytes_max: Annotated[
        int, Limit("a request's body to an actor's ASGI app", "413; closed")
    ] = 10_485_760
    idle_timeout_s: Annotated[float, Limit("a kept connection without a request", "closed")] = 75.0
    requests_per_second_max: Annotated[
        int, Limit("HTTP requests a second on one kept connection", "429; closed")
    ] = 10_000
    sockets_max: Annotated[int, Limit("open sockets of the process", "closed at once")] = 60_000
    ping_after_s: Annotated[float, Limit("silence on a WebSocket", "the server pings")] = 30.0
    silence_timeout_s: Annotated[
        float, Limit("silence on a WebSocket in spite of pings", "closed at once")
    ] = 75.0
    closing_timeout_s: Annotated[
        float, Limit("time for the far end to end a connection that we close", "cut off")
    ] = 5.0
    connection_parameters_bytes_max: Annotated[
        int, Limit("connection parameters", "`connection_parameters_too_long`, refused")
    ] = 8_192
    nesting_max: Annotated[
        int, Limit("depth of nested arrays and objects in a frame", "`malformed_message`")
    ] = 64
    state_bytes_max: Annotated[
        int, Limit("state of one actor, encoded", "`state_too_large`, the turn is rolled back")
    ] = 8_388_608
    commit_bytes_max: Annotated[
        int,
        Limit(
            "what one commit changes",
            "`commit_too_large`, the turn is rolled back; merged turns are split at turn ends",
        ),
    ] = 8_388_608
    group_bytes_max: Annotated[
        int, Limit("one group of commits", "the next group, unless one commit alone is larger")
    ] = 1_048_576
    group_commits_max: Annotated[int, Limit("commits in one group", "the next group")] = 1_000
    # Two were measured on SQLite: the second leaves small behind the first, 10 to 20 % fewer calls.
    groups_in_flight_max: Annotated[int, Limit("groups on their way to the store", "waits")] = 1
    commits_waiting_max: Annotated[int, Limit("commits that wait for a group", "`overloaded`")] = (
        100_000
    )
    tags_max: Annotated[int, Limit("tags of an actor", "`invalid_tags`")] = 8
    tag_key_bytes_max: Annotated[int, Limit("a tag's key", "`invalid_tags`")] = 32
    tag_value_bytes_max: Annotated[int, Limit("a tag's value", "`invalid_tags`")] = 1_024
    key_parts_max: Annotated[int, Limit("parts of an actor's key", "`invalid_key`")] = 16
    key_bytes_max: Annotated[int, Limit("an actor's key in all", "`invalid_key`")] = 1_024
    action_name_bytes_max: Annotated[int, Limit("an action's name", "`malformed_message`")] = 128
    event_name_bytes_max: Annotated[
        int, Limit("an event's name in a subscription", "`malformed_message`")
    ] = 128
    subscriptions_max: Annotated[int, Limit("subscriptions of one connection", "`overloaded`")] = (
        1_024
    )
    connections_per_actor_max: Annotated[
        int, Limit("connections of one actor", "503 `too_many_connections`")
    ] = 32_768
    calls_per_connection_max: Annotated[
        int, Limit("calls in flight on one connection", "`overloaded`")
    ] = 256
    calls_per_actor_max: Annotated[int, Limit("calls in flight of one actor", "`overloaded`")] = (
        4_096
    )
    outgoing_bytes_max: Annotated[
        int, Limit("bytes waiting for a slow reader of a connection", "closed with 1013")
    ] = 4_194_304
    action_timeout_s: Annotated[
        float, Limit("an action, unless it says `timeout_s`", "`rpc_timed_out`, cancelled")
    ] = 60.0
    cancel_grace_s: Annotated[
        float, Limit("what a cancelled action may still take to clean up", "it is dropped")
    ] = 5.0
    store_key_bytes_max: Annotated[int, Limit("a storage key", "`store_key_too_large`")] = 10_000
    store_value_bytes_max: Annotated[int, Limit("a stored value", "`store_value_too_large`")] = (
        100_000
    )
    transaction_bytes_max: Annotated[
        int, Limit("a store transaction", "`transaction_too_large`")
    ] = 10_000_000
    transaction_age_s: Annotated[
        float, Limit("a store transaction's life", "`transaction_too_old`")
    ] = 4.0


DEFAULT = Limits()


def table() -> list[tuple[str, float, str, str]]:
    """Rows of (name, default, what, over it), in the order in which they are declared."""
    hints = get_type_hints(Limits, include_extras=True)
    rows = []
    for name in Limits.__struct_fields__:
        limit = get_args(hints[name])[1]
        rows.append((name, getattr(DEFAULT, name), limit.what, limit.over))
    return rows
