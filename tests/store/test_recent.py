"""What is remembered of recent writes, and what is forgotten."""

from denizen.store.recent import RecentWrites, touches


def test_what_was_written_after_a_version_is_known() -> None:
    recent = RecentWrites(10)
    recent.record(11, 0.0, {b"a"}, [])
    recent.record(12, 0.0, {b"b"}, [(b"m", b"p")])
    assert recent.was_written(b"a", 10)
    assert not recent.was_written(b"a", 11)
    assert recent.was_written(b"o", 11)
    assert not recent.was_written(b"p", 11)
    assert not recent.was_written(b"o", 12)
    assert recent.was_range_written(b"a", b"b", 10)
    assert not recent.was_range_written(b"a", b"b", 11)
    assert recent.was_range_written(b"o", b"z", 11)
    assert recent.floor == 10


def test_more_than_is_remembered_raises_the_floor() -> None:
    recent = RecentWrites(0, keys_max=10)
    for version in range(1, 8):
        recent.record(version, 0.0, {b"%d" % version, b"same"}, [(b"x", b"y")])
    assert recent.floor == 4
    assert not recent.was_written(b"4", 4)
    assert recent.was_written(b"5", 4)
    assert recent.was_written(b"same", 6)


def test_what_is_old_is_forgotten() -> None:
    recent = RecentWrites(0, age_max_s=6.0)
    recent.record(1, 0.0, {b"a"}, [])
    recent.record(2, 5.0, {b"a"}, [])
    assert recent.floor == 0
    recent.record(3, 6.5, {b"b"}, [])
    assert recent.floor == 1
    assert recent.was_written(b"a", 1)


def test_ranges_touch_only_where_they_share_a_key() -> None:
    assert touches(b"b", b"d", [b"c"], [])
    assert not touches(b"b", b"d", [b"d", b"a"], [])
    assert touches(b"b", b"d", [], [(b"c", b"z")])
    assert touches(b"b", b"d", [], [(b"a", b"z")])
    assert not touches(b"b", b"d", [], [(b"d", b"z"), (b"a", b"b")])
    assert not touches(b"b", b"b", [], [(b"a", b"z")])
