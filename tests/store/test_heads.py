"""What guards are compared with stays right, and stays small."""

import apsw
import pytest

from denizen.store.sqlite import heads, statements


def test_more_heads_than_are_kept_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "KEYS_MAX", 10)
    connection = apsw.Connection(":memory:")
    connection.execute(statements.CREATE)
    stored = {b"%02d" % n: b"v%d" % n for n in range(40)}
    for text, values in statements.upserts(list(stored.items())):
        connection.execute(text, values)
    known = heads.Heads(connection)
    for turn in range(100):
        asked = [b"%02d" % ((turn * 7 + n) % 50) for n in range(6)]
        read = known.load(asked)
        assert [read(key) for key in asked] == [stored.get(key) for key in asked]
        assert len(known) <= 10
        changed = {asked[0]: b"new%d" % turn, asked[1]: None, asked[2]: bytes(2_000)}
        for text, values in statements.upserts([(k, v) for k, v in changed.items() if v]):
            connection.execute(text, values)
        connection.execute("DELETE FROM kv WHERE k = ?", (asked[1],))
        stored.update({key: value for key, value in changed.items() if value is not None})
        stored.pop(asked[1], None)
        known.apply(changed)
    connection.close()
