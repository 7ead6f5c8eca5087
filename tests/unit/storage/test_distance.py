"""How far away a store is, by its answers."""

import pytest

from services.storage.read_ahead import ANSWERS, FAR, Distance

NEAR, DISTANT = FAR / 10, FAR * 2


def told(*runs: list[float]) -> bool:
    """Whether a store that answered like this is far away."""
    distance = Distance()
    for seconds in (seconds for run in runs for seconds in run):
        distance.note(seconds)
    return distance.is_far


def run(*seconds: float) -> list[float]:
    """Answers of which the last is repeated."""
    return [*seconds, *[seconds[-1]] * (ANSWERS - len(seconds))]


@pytest.mark.parametrize(
    ("runs", "is_far"),
    [
        ((), False),
        ((run(DISTANT)[1:],), False),
        ((run(DISTANT),), True),
        ((run(NEAR), run(DISTANT), run(DISTANT)), True),
        # Of a busy store all answers but one waited for others.
        ((run(NEAR, DISTANT), run(NEAR, DISTANT)), False),
        # The machine stood still.
        ((run(NEAR), run(DISTANT)), False),
        # It came nearer.
        ((run(DISTANT), run(DISTANT), run(NEAR)), False),
    ],
)
def test_a_store_is_far_away_that_is_never_quick(runs: tuple[list[float]], is_far: bool) -> None:
    assert told(*runs) == is_far
