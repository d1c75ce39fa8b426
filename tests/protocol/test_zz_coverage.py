"""Every code that a v1 client can meet was met by a test of this folder, or there is a reason.

Named to run last: it looks at what the others have seen.
"""

import pytest

from denizen.core.errors import catalogue
from tests.protocol.raw import COVERED

NAMED_IN_PROTOCOL = {
    "internal_error",
    "user_error",
    "rpc_not_found",
    "rpc_timed_out",
    "invalid_protocol_version",
    "invalid_protocol_format",
    "connection_parameters_too_long",
    "malformed_connnection_parameters",
    "message_too_long",
    "malformed_message",
    "state_too_large",
}

ONLY_OUR_OWN_CLIENT = "raised on the caller's side; never sent"
ONLY_AT_THE_START = "keeps a server from starting; nobody is connected then"
ONLY_INSIDE = "ends inside the store's own retry, or is a bug that would be internal_error"
NEVER_MET: dict[str, str] = {
    "invalid_url": ONLY_OUR_OWN_CLIENT,
    "invalid_result": ONLY_OUR_OWN_CLIENT,
    "not_connected": ONLY_OUR_OWN_CLIENT,
    "port_unavailable": ONLY_AT_THE_START,
    "store_in_use": ONLY_AT_THE_START,
    "invalid_store_url": ONLY_AT_THE_START,
    "store_format_unknown": "needs damaged data: tests of the store",
    "store_conflict": ONLY_INSIDE,
    "store_closed": ONLY_INSIDE,
    "store_key_reserved": ONLY_INSIDE,
    "store_key_too_large": ONLY_INSIDE,
    "store_value_too_large": ONLY_INSIDE,
    "transaction_too_large": ONLY_INSIDE,
    "transaction_too_old": ONLY_INSIDE,
    "commit_too_large": "by default the limit of the state is no larger; `tests/behaviour` sets one that is",
    "outcome_unknown": "over HTTP the broken connection itself; tests of an actor's own app",
    "head_too_large": "before any route: tests of the gateway",
    "request_timed_out": "before any route: tests of the gateway",
    "too_many_requests": "before any route: tests of the gateway",
}


def test_every_code_was_met(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent
    ran = {item.path.name for item in request.session.items if item.path.parent == folder}
    if not {"test_errors.py", "test_http.py", "test_frames.py"} <= ran:
        pytest.skip("only the whole folder can tell")
    assert set(catalogue()) >= NAMED_IN_PROTOCOL
    assert set(catalogue()) - COVERED == set(NEVER_MET)
    assert NAMED_IN_PROTOCOL <= COVERED
