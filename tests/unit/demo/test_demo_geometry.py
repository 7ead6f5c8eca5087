"""Cutting at the edge keeps what is inside, and nothing else."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.demo.dataset.geometry import clip_path, clip_ring, clip_rings

_coordinate = st.integers(-200, 300).map(float)
_point = st.tuples(_coordinate, _coordinate)


def _area(ring: list[tuple[float, float]]) -> float:
    pairs = zip(ring, [*ring[1:], *ring[:1]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


@given(st.lists(_point, min_size=3, max_size=8))
def test_a_clipped_ring_is_inside(ring: list[tuple[float, float]]) -> None:
    for x, y in clip_ring(ring, 100, 80):
        assert -1e-6 <= x <= 100 + 1e-6
        assert -1e-6 <= y <= 80 + 1e-6


@given(st.integers(-100, 150), st.integers(-100, 150), st.integers(1, 200), st.integers(1, 200))
def test_a_clipped_rectangle_has_the_area_of_the_overlap(x: int, y: int, w: int, h: int) -> None:
    ring = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    overlap = max(0, min(x + w, 100) - max(x, 0)) * max(0, min(y + h, 80) - max(y, 0))
    assert _area(clip_ring(ring, 100, 80)) == pytest.approx(overlap)


def test_a_hole_outside_is_left_out_and_an_outer_ring_outside_leaves_nothing() -> None:
    outer = [(-50.0, 0.0), (50.0, 0.0), (50.0, 80.0), (-50.0, 80.0)]
    hole = [(-40.0, 10.0), (-20.0, 10.0), (-20.0, 40.0), (-40.0, 40.0)]
    assert len(clip_rings([outer, hole], 100, 80)) == 1
    assert clip_rings([hole], 100, 80) == []


@given(st.lists(_point, min_size=2, max_size=8))
def test_parts_of_a_path_are_inside_and_on_it(path: list[tuple[float, float]]) -> None:
    parts = clip_path(path, 100, 80)
    assert sum(_length(part) for part in parts) <= _length(path) + 1e-6
    for part in parts:
        assert len(part) >= 2
        for x, y in part:
            assert -1e-6 <= x <= 100 + 1e-6
            assert -1e-6 <= y <= 80 + 1e-6


def test_a_path_that_leaves_and_returns_comes_in_two_parts() -> None:
    path = [(10.0, 40.0), (10.0, 200.0), (90.0, 200.0), (90.0, 40.0)]
    assert clip_path(path, 100, 80) == [
        [(10.0, 40.0), (10.0, 80.0)],
        [(90.0, 80.0), (90.0, 40.0)],
    ]


def _length(path: list[tuple[float, float]]) -> float:
    return sum(math.dist(a, b) for a, b in itertools.pairwise(path))
