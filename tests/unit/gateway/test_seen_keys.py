"""The gateway's memory of keys: short, small, and without the keys themselves."""

from gateway.seen_keys import SeenKeys


def test_a_key_is_remembered_for_some_seconds() -> None:
    now = 100.0
    seen = SeenKeys(5, 10, lambda: now)
    assert "pk_live_a" not in seen
    seen.add("pk_live_a")
    now = 104.9
    assert "pk_live_a" in seen
    assert "pk_live_b" not in seen
    now = 105.0
    assert "pk_live_a" not in seen
    seen.add("pk_live_a")
    assert "pk_live_a" in seen


def test_a_key_that_is_forgotten_is_gone_at_once() -> None:
    seen = SeenKeys(5)
    seen.forget("pk_live_a")
    seen.add("pk_live_a")
    seen.forget("pk_live_a")
    assert "pk_live_a" not in seen


def test_only_the_last_keys_are_remembered() -> None:
    seen = SeenKeys(5, most=2)
    seen.add("a")
    seen.add("b")
    seen.add("a")
    seen.add("c")
    assert [key in seen for key in "abc"] == [True, False, True]


def test_keys_are_kept_as_hashes() -> None:
    seen = SeenKeys(5)
    seen.add("pk_live_secret")
    assert "secret" not in repr(vars(seen))
