"""Polygons of very many rings and points: the ways that are taken for them agree with those
that look at everything."""

from itertools import pairwise
from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from services.formats.common import ring_nesting
from services.formats.common.geometry import Ring, flat, ring_area
from services.formats.common.masks import even_odd_mask, is_union, union_area
from services.formats.common.oriented import min_area_box
from services.formats.common.ring_nesting import bridge, hole_flags, may_overlap
from tests.unit.formats.test_geometry import square

_POINT = st.tuples(st.integers(0, 30), st.integers(0, 30))
_RING = st.lists(_POINT, min_size=3, max_size=7)


@st.composite
def nested(draw: st.DrawFn) -> list[Ring]:
    """Squares that lie in or beside one another and never cross, in any order."""

    def fill(x: float, y: float, side: float, depth: int) -> list[Ring]:
        found: list[Ring] = [square(x, y, side)]
        if depth:
            part = side / 3
            for dx, dy in draw(st.sets(st.sampled_from([(0.2, 0.2), (1.8, 0.2), (0.9, 1.8)]))):
                found += fill(x + dx * part, y + dy * part, part, depth - 1)
        return found

    whole = [ring for k in range(draw(st.integers(1, 3))) for ring in fill(k * 30, 0, 27, 3)]
    return draw(st.permutations(whole))


@settings(max_examples=40, deadline=None)
@given(nested())
def test_points_tell_holes_as_sides_do(polygon: list[Ring]) -> None:
    arrays = [np.asarray(ring, float) for ring in polygon]
    assert ring_nesting._flags_by_points(arrays) == hole_flags(polygon)


@settings(max_examples=40, deadline=None)
@given(nested())
def test_a_chain_covers_what_its_rings_cover(polygon: list[Ring]) -> None:
    flags = hole_flags(polygon)
    turned = [ring[::-1] if hole else ring for ring, hole in zip(polygon, flags, strict=True)]
    joined = ring_nesting._chain(turned)
    assert abs(ring_area(joined) - ring_area(bridge(polygon))) < 1e-6
    sides = [frozenset(side) for ring in polygon for side in pairwise([*ring, ring[0]])]
    walked = [frozenset(side) for side in pairwise([*joined, joined[0]]) if side[0] != side[1]]
    left = [*walked]
    for side in sides:
        left.remove(side)
    # What is left are seams, walked there and back.
    assert all(left.count(seam) % 2 == 0 for seam in left)


@given(st.lists(_RING, min_size=1, max_size=5))
def test_boxes_that_share_area_are_found(polygon: list[Ring]) -> None:
    wide = [ring for ring in polygon if all(np.ptp(np.asarray(ring), axis=0) > 0)]
    boxes = [(*np.min(ring, axis=0), *np.max(ring, axis=0)) for ring in wide]
    expected = any(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )
    assert may_overlap(wide) == expected


@given(st.lists(_RING, min_size=1, max_size=4), st.integers(10, 40), st.integers(10, 40))
def test_the_union_is_counted_as_pycocotools_counts_it(
    polygon: list[Ring], width: int, height: int
) -> None:
    encoded = coco_mask.frPyObjects([flat(ring) for ring in polygon], height, width)
    union = int(coco_mask.area(coco_mask.merge(encoded)))
    assert union_area(polygon, width, height) == union
    same = even_odd_mask(polygon, width, height).area == union
    assert is_union(polygon, width, height) == same


@settings(deadline=None)
@given(st.lists(_POINT, min_size=1, max_size=12))
def test_the_smallest_rectangle_is_that_of_all_directions(points: Ring) -> None:
    box = min_area_box(points)
    array = np.asarray(points, float)
    turns = [
        np.arctan2(by - ay, bx - ax)
        for ax, ay in points
        for bx, by in points
        if (ax, ay) != (bx, by)
    ]
    areas = [
        np.ptp(array @ (cos(turn), sin(turn))) * np.ptp(array @ (-sin(turn), cos(turn)))
        for turn in turns
    ]
    assert box.w * box.h <= min(areas, default=0.0) + 1e-6
    corners = np.asarray(box.corners())
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    for axis, side in ((across, box.w), (down, box.h)):
        if side > 1e-6:
            along = (array - corners[0]) @ axis / side
            assert along.min() > -1e-6
            assert along.max() < side + 1e-6


def circle(points: int, radius: float = 400.0) -> Ring:
    turns = [2 * pi * k / points for k in range(points)]
    return [(500 + radius * cos(turn), 500 + radius * sin(turn)) for turn in turns]


def test_many_points_are_followed_once() -> None:
    box = min_area_box(circle(50_000))
    assert box.w * box.h == pytest.approx(800**2, rel=1e-3)
    grid = [square(10 * (k % 100), 10 * (k // 100), 5) for k in range(8_000)]
    flags = hole_flags([square(-1, -1, 1001), *grid])
    assert flags == [False] + [True] * 8_000
    joined = bridge([square(-1, -1, 1001), *grid])
    assert ring_area(joined) == pytest.approx(1001**2 - 8_000 * 25)
    # Rings in rings, whose pairs alone would be tens of millions.
    rings_in_rings = [square(k * 0.1, k * 0.1, 1000 - k * 0.2) for k in range(4_000)]
    assert hole_flags(rings_in_rings) == [False, True] * 2_000
