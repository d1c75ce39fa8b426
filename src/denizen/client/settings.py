"""What a client may be told about waiting, retrying and bounds. Numbers only; nothing acts here."""

import msgspec

from denizen.core.limits import DEFAULT as LIMITS

_ANSWER_MARGIN_S = 5.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one client. The defaults suit a service and a page's backend alike.

    call_timeout_s: how long a call may take in all, waiting for a connection included. The default
        lets the actor's own timeout speak first.
    waiting_calls_max, waiting_bytes_max: calls of one connection that aren't sent yet.
    calls_in_flight_max: calls of one connection that are sent and unanswered; more wait.
    events_waiting_max: events of one connection that wait for an async handler; more are dropped.
    connect_timeout_s: one attempt to connect.
    retry_first_s, retry_max_s: the bound of the first pause between attempts and of the longest.
    healthy_after_s: a connection that stood this long makes the next pause the first again.
    refusal_pause_s: how long a refused connection answers calls with the refusal by itself.
    idle_s: a connection without calls, subscriptions and `connect()` is closed after this time.
    silence_s: the server may be silent this long before it is pinged, and then again before the
        connection counts as lost.
    close_timeout_s: how long closing waits for the server's part of it.
    """

    call_timeout_s: float = LIMITS.action_timeout_s + LIMITS.cancel_grace_s + _ANSWER_MARGIN_S
    waiting_calls_max: int = 1_000
    waiting_bytes_max: int = 8_388_608
    calls_in_flight_max: int = LIMITS.calls_per_connection_max
    events_waiting_max: int = 10_000
    connect_timeout_s: float = 10.0
    retry_first_s: float = 0.1
    retry_max_s: float = 10.0
    healthy_after_s: float = 5.0
    refusal_pause_s: float = 1.0
    idle_s: float = 60.0
    silence_s: float = 35.0
    close_timeout_s: float = 2.0


DEFAULT = Settings()
