"""Rings that cross themselves: found, and with the area of their mask in COCO."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from services.formats.common.crossing import MOST_COMPARED, may_cross_itself
from services.formats.common.geometry import Point
from tests.unit.formats.archives import assemble, image, info, polygon

# What pycocotools' compiled part answers NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BOW = [(10.0, 10.0), (50.0, 50.0), (50.0, 10.0), (10.0, 50.0)]
STAR = [(50.0, 5.0), (70.0, 70.0), (10.0, 30.0), (90.0, 30.0), (30.0, 70.0)]
SQUARE = [(60.0, 10.0), (90.0, 10.0), (90.0, 40.0), (60.0, 40.0)]
#: A spiral that never crosses itself.
SPIRAL = [(10.0, 10.0), (90.0, 10.0), (90.0, 70.0), (20.0, 70.0), (20.0, 20.0), (70.0, 20.0),
          (70.0, 50.0), (40.0, 50.0), (40.0, 40.0), (60.0, 40.0), (60.0, 30.0), (30.0, 30.0),
          (30.0, 60.0), (80.0, 60.0), (80.0, 15.0), (10.0, 15.0)]  # fmt: skip

COORDINATES = st.tuples(st.integers(0, 9), st.integers(0, 9))


def _crosses(ring: list[Point]) -> bool:
    def side(a: Point, b: Point, point: Point) -> float:
        return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])

    sides = list(zip(ring, [*ring[1:], ring[0]], strict=True))
    return any(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for a, b in sides
        for c, d in sides
    )


@given(st.lists(COORDINATES, min_size=3, max_size=8))
def test_every_crossing_is_found(ring: list[Point]) -> None:
    assert may_cross_itself(ring) == _crosses(ring)


def test_nobody_looks_without_end() -> None:
    comb = [(1000.0 * (i % 2), float(i)) for i in range(2 * MOST_COMPARED // 100)]
    assert may_cross_itself(comb)


def test_touching_is_no_crossing() -> None:
    assert not may_cross_itself(SPIRAL)
    # A seam, walked there and back; a corner on a side; the same point twice.
    assert not may_cross_itself([(0, 0), (9, 0), (9, 9), (5, 9), (5, 5), (5, 9), (0, 9)])
    assert not may_cross_itself([(0, 0), (9, 0), (5, 0), (9, 9), (0, 9)])
    assert not may_cross_itself([(0, 0), (4, 0), (2, 2), (4, 4), (0, 4), (2, 2)])
    assert may_cross_itself(BOW)


def _area_of_mask(*rings: list[Point]) -> int:
    flat = [[value for point in ring for value in point] for ring in rings]
    return int(coco_mask.area(coco_mask.merge(coco_mask.frPyObjects(flat, 80, 100))))


@pytest.mark.parametrize("name", ["coco", "roboflow_coco"])
def test_the_area_of_a_ring_that_crosses_itself_is_that_of_its_mask(name: str) -> None:
    folder = "annotations/instances_default" if name == "coco" else "train/_annotations.coco"
    outlines: list[list[list[Point]]] = [[BOW], [STAR], [SQUARE], [BOW, SQUARE], [SPIRAL]]
    values = [polygon(f"{number}", *rings) for number, rings in enumerate(outlines)]
    files, _ = assemble(info(name), [image(values)])
    rows: list[dict[str, Any]] = orjson.loads(files[f"{folder}.json"])["annotations"]
    for number, row in enumerate(rows):
        rings = outlines[number % len(outlines)]
        if any(map(_crosses, rings)):
            assert row["area"] == _area_of_mask(*rings)
        else:
            assert row["area"] == pytest.approx(_area_of_mask(*rings), abs=200)
    assert rows[2]["area"] == 900


def test_coordinates_beyond_reason_warn_of_nothing() -> None:
    far = [(1e308 * x, 1e308 * y) for x, y in ((-1, -1), (1, 1), (1, -1), (-1, 1), (0, 1))]
    may_cross_itself(far)
