"""How long a signed link works."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.exports.servicer import LINK_MARGIN, link_lifetime

SECONDS = st.integers(1, 604_800)


@given(ttl=SECONDS, left=st.integers(-1_000, 10_000_000), now=st.floats(1e9, 2e9))
def test_a_link_outlives_its_archive_by_the_margin_at_most(ttl: int, left: int, now: float) -> None:
    lifetime = link_lifetime(timedelta(seconds=ttl), now + left, now)
    # What S3 takes, and no longer than was asked for.
    assert timedelta(seconds=1) <= lifetime <= timedelta(seconds=ttl)
    assert lifetime <= timedelta(seconds=max(left, 0)) + LINK_MARGIN


@given(ttl=SECONDS)
def test_an_archive_that_is_kept_for_ever_has_links_of_full_length(ttl: int) -> None:
    assert link_lifetime(timedelta(seconds=ttl), None, 1e9) == timedelta(seconds=ttl)


@given(ttl=SECONDS, left=st.floats(-1_000, 1_000_000), now=st.floats(1e9, 2e9))
def test_a_link_ends_with_the_credentials_that_sign_it(ttl: int, left: float, now: float) -> None:
    lifetime = link_lifetime(timedelta(seconds=ttl), None, now, now + left)
    assert timedelta(seconds=1) <= lifetime <= timedelta(seconds=ttl)
    assert lifetime.total_seconds() <= max(left, 1.0) + 1e-3
