"""The statistic that tells whether foreign names take longer than unknown ones."""

import random

from tests.bench.strangers import DOUBT, Comparison


def pairs(longer: float) -> Comparison:
    """A thousand pairs that lie a millisecond apart, the foreign ones longer by so many seconds."""
    chance = random.Random(3)
    foreign = [chance.gauss(0.002 + longer, 0.001) for _ in range(1_000)]
    return Comparison(foreign, [chance.gauss(0.002, 0.001) for _ in range(1_000)])


def test_a_third_of_a_millisecond_is_seen_and_nothing_is_not() -> None:
    assert pairs(0.0).chance > 0.01
    for longer in (0.0003, -0.0003):
        assert pairs(longer).chance < DOUBT
        assert abs(pairs(longer).difference - longer) < 0.0002
    assert Comparison([1.0, 2.0], [1.0, 2.0]).chance == 1
