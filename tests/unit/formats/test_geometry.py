"""Geometry, against pycocotools' rasters and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.formats.common import geometry, masks, oriented, ring_nesting
from services.formats.common.geometry import OrientedBox, Ring

# numpy's word about a method of pycocotools that only its `decode` calls.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH, HEIGHT = 40, 30
# Tenths as well: pycocotools rounds to fifths of a pixel, where x.1 and x.3 lie on the edge.
_COORDINATE = st.one_of(
    st.floats(0, HEIGHT), st.integers(0, 10 * HEIGHT).map(lambda tenths: tenths / 10)
)
_RINGS = st.lists(
    st.lists(st.tuples(_COORDINATE, _COORDINATE), min_size=3, max_size=12), min_size=1, max_size=5
)


def square(left: float, top: float, side: float) -> Ring:
    return [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]


def raster(rings: list[Ring]) -> NDArray[np.uint8]:
    """Even-odd, pixel by pixel, from pycocotools' raster of each ring."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for ring in rings:
        pixels ^= coco_mask.decode(coco_mask.frPyObjects([geometry.flat(ring)], HEIGHT, WIDTH)[0])
    return pixels


@given(_RINGS)
def test_mask_is_the_even_odd_raster_of_its_rings(rings: list[Ring]) -> None:
    mask = masks.even_odd_mask(rings, WIDTH, HEIGHT)
    expected = raster(rings)
    assert np.array_equal(coco_mask.decode(masks.as_rle(mask)), expected)
    assert mask.area == expected.sum()
    # The same text as pycocotools' own encoder gives.
    assert mask.counts == coco_mask.encode(np.asfortranarray(expected))["counts"].decode()


def test_mask_of_a_large_image_needs_no_raster() -> None:
    rings = [square(100, 100, 50_000), square(200, 200, 10)]
    mask = masks.even_odd_mask(rings, 60_000, 60_000)
    assert mask.area == 50_000**2 - 100


def test_holes_are_rings_within_an_odd_number_of_others() -> None:
    rings = [square(0, 0, 30), square(5, 5, 20), square(10, 10, 5), square(31, 0, 5)]
    assert ring_nesting.hole_flags(rings) == [False, True, False, False]
    assert ring_nesting.polygon_area(rings) == 900 - 400 + 25 + 25


def test_holes_do_not_depend_on_the_order_of_rings_nor_on_touching_corners() -> None:
    outer, inner = square(0, 0, 20), [(0.0, 0.0), (10.0, 2.0), (2.0, 10.0)]
    assert ring_nesting.hole_flags([inner, outer]) == [True, False]
    assert ring_nesting.hole_flags([square(0, 0, 10), square(10, 10, 10)]) == [False, False]


def covers(ring: Ring, x: float, y: float) -> bool:
    """Even-odd: whether a ray to the right crosses the ring an odd number of times."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], *ring[:1]], strict=True):
        if (y0 > y) != (y1 > y):
            crossings += x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return crossings % 2 == 1


@given(
    st.lists(st.tuples(st.integers(-20, 60), st.integers(-20, 60)), min_size=3, max_size=9),
    st.lists(st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)), max_size=20),
)
def test_a_clipped_ring_covers_what_the_whole_covers_on_the_image(
    corners: list[tuple[int, int]], pixels: list[tuple[int, int]]
) -> None:
    whole = [(float(x), float(y)) for x, y in corners]
    clipped = geometry.clip_ring(whole, WIDTH, HEIGHT)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in clipped)
    for column, row in pixels:
        # On no line between points with whole coordinates of this size.
        x, y = column + 0.501234567, row + 0.498765432
        assert covers(clipped, x, y) == covers(whole, x, y)


def test_clipping_keeps_what_lies_on_the_image() -> None:
    triangle = [(-10.0, 10.0), (10.0, 0.0), (10.0, 20.0)]
    assert geometry.clip_ring(triangle, WIDTH, HEIGHT) == [
        (0.0, 15.0),
        (0.0, 5.0),
        (10.0, 0.0),
        (10.0, 20.0),
    ]
    assert geometry.clip_ring(square(100, 100, 5), WIDTH, HEIGHT) == []


@given(
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.floats(0, 359.9),
)
def test_smallest_rectangle_of_a_turned_box_is_the_box(
    cx: float, cy: float, w: float, h: float, angle: float
) -> None:
    box = OrientedBox(cx, cy, w, h, angle)
    corners = box.corners()
    found = oriented.min_area_box(corners)
    assert 0 <= found.angle < 90
    assert sorted((found.w, found.h)) == pytest.approx(sorted((w, h)), abs=1e-6)
    for x, y in corners:
        assert min(math.dist((x, y), other) for other in found.corners()) < 1e-5
    assert geometry.ring_area(corners) == pytest.approx(w * h, rel=1e-9)


def test_corners_start_top_left_and_turn_clockwise() -> None:
    assert OrientedBox(10, 10, 4, 2, 0).corners() == [(8, 9), (12, 9), (12, 11), (8, 11)]
    quarter = OrientedBox(10, 10, 4, 2, 90).corners()
    assert np.allclose(quarter, [(11, 8), (11, 12), (9, 12), (9, 8)])


def test_smallest_rectangle_of_a_line_and_of_a_point() -> None:
    line = oriented.min_area_box([(0, 0), (3, 4), (6, 8)])
    assert min(line.w, line.h) == pytest.approx(0, abs=1e-9)
    assert max(line.w, line.h) == pytest.approx(10)
    assert oriented.min_area_box([(3, 4)]) == OrientedBox(3, 4, 0, 0, 0)
    with pytest.raises(ValueError, match="at least one point"):
        oriented.min_area_box([])


def test_area_of_a_ring_far_from_the_origin() -> None:
    assert geometry.ring_area(square(1e8, 1e8, 0.5)) == 0.25
