"""Masks become outlines that give the same mask, and overlaps of rings are seen."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.catalog.limits import MAX_SIDE
from services.formats.common.geometry import Point
from services.formats.common.rings import (
    MaskError,
    RunMask,
    decode_runs,
    outline,
    overlap,
    union_outline,
)

# What pycocotools' compiled part answers NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))
SQUARE: list[Point] = [(0, 0), (4, 0), (4, 4), (0, 4)]


@pytest.fixture
def tracer() -> Iterator[Callable[[], int]]:
    """Gives the bytes that NumPy and Python held at once since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def _shifted(ring: list[Point], x: float, y: float = 0) -> list[Point]:
    return [(a + x, b + y) for a, b in ring]


def _raster(rings: list[list[Point]], height: int, width: int) -> NDArray[np.bool_]:
    """pycocotools' raster of each ring, combined even-odd."""
    mask = np.zeros((height, width), dtype=bool)
    flat = [[value for point in ring for value in point] for ring in rings]
    for encoded in coco_mask.frPyObjects(flat, height, width) if flat else []:
        mask ^= coco_mask.decode(encoded).astype(bool)
    return mask


def _runs(mask: NDArray[np.bool_]) -> RunMask:
    columns = np.concatenate([[False], mask.T.reshape(-1), [False]])
    return RunMask(mask.shape[0], mask.shape[1], np.flatnonzero(np.diff(columns)))


def _dense(mask: RunMask) -> NDArray[np.bool_]:
    steps = np.zeros(mask.height * mask.width + 1, dtype=np.int64)
    steps[mask.edges] = 1
    flat: NDArray[np.bool_] = np.cumsum(steps)[:-1] % 2 == 1
    return flat.reshape(mask.width, mask.height).T


@given(MASKS)
def test_outlines_give_the_same_mask(mask: NDArray[np.bool_]) -> None:
    rings = outline(_runs(mask))
    assert (_raster(rings, *mask.shape) == mask).all()
    assert all(len(ring) >= 4 for ring in rings)


def test_an_outline_has_corners_only_and_starts_outside() -> None:
    mask = np.ones((5, 6), dtype=bool)
    mask[2, 2:4] = False
    outer, hole = outline(_runs(mask))
    assert outer == [(0, 0), (6, 0), (6, 5), (0, 5)]
    assert sorted(hole) == [(2, 2), (2, 3), (4, 2), (4, 3)]


def test_pixels_that_touch_in_a_corner_stay_apart() -> None:
    assert len(outline(_runs(np.eye(3, dtype=bool)))) == 3


@given(MASKS)
def test_runs_are_decoded_as_pycocotools_writes_them(mask: NDArray[np.bool_]) -> None:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = mask.shape
    decoded = decode_runs(height, width, encoded["counts"].decode())
    assert (_dense(decoded) == mask).all()
    columns = mask.T.reshape(-1)
    ends = np.flatnonzero(np.diff(columns, prepend=False, append=not columns[-1]))
    runs = np.diff(ends, prepend=0).tolist()
    assert (_dense(decode_runs(height, width, runs)) == mask).all()
    # Runs without length are none.
    runs = [part for run in runs for part in (run, 0, 0)]
    assert (_dense(decode_runs(height, width, runs)) == mask).all()


@pytest.mark.parametrize(
    ("height", "width", "counts"),
    [
        (2, 2, [1, 2]),
        (2, 2, [5, -1]),
        (2, 2, [2.0, 2.0]),
        (2, 2, "abc\x01"),
        (2, 2, "o"),
        (2, 2, ""),
        (0, 2, []),
        (10**9, 10**9, [1]),
    ],
)
def test_runs_that_do_not_fit_are_refused(height: int, width: int, counts: str | list[int]) -> None:
    with pytest.raises(MaskError):
        decode_runs(height, width, counts)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_shifted(SQUARE, 5), False),
        (_shifted(SQUARE, 4), False),
        (_shifted(SQUARE, 4, 4), False),
        (_shifted(SQUARE, 3.9), True),
        (SQUARE, True),
        (SQUARE[::-1], True),
        ([(1, 1), (2, 1), (2, 2)], True),
        ([(-1, -1), (5, -1), (5, 5), (-1, 5)], True),
        # Around the corner, with a common box but no common area.
        ([(5, -1), (6, -1), (6, 6), (-1, 6), (-1, 5), (5, 5)], False),
        # A bar that crosses without any corner inside.
        ([(1, -2), (2, -2), (2, 6), (1, 6)], True),
        # A slope that only touches a corner.
        ([(4, 4), (8, 0), (8, 8)], False),
    ],
)
def test_overlap_is_common_area(other: list[Point], expected: bool) -> None:
    assert overlap([SQUARE, other]) is expected
    assert overlap([other, SQUARE]) is expected


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3),
        min_size=2,
        max_size=3,
    )
)
def test_the_union_is_that_of_pycocotools(rings: list[list[Point]]) -> None:
    flat = [[value for point in ring for value in point] for ring in rings]
    union = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, 12, 12))).astype(bool)
    assert (_raster(union_outline(rings), 12, 12) == union).all()
    # Rings that share no area give the union even-odd, but for pixels on common lines.
    if not overlap(rings):
        assert (_raster(rings, 12, 12) <= union).all()


def test_a_mask_of_a_billion_pixels_costs_its_outline(tracer: Callable[[], int]) -> None:
    side = 1 << 15
    assert outline(decode_runs(side, side, [0, side * side])) == [
        [(0, 0), (side, 0), (side, side), (0, side)]
    ]
    most = MAX_SIDE
    rings = outline(decode_runs(most, most, [1, most * most - 2, 1]))
    assert [len(ring) for ring in rings] == [8]
    assert tracer() < 400 * 2**20


@pytest.mark.parametrize("counts", [[1] * (1 << 21), "1" * (1 << 21)])
def test_too_many_runs_are_refused(counts: str | list[int]) -> None:
    with pytest.raises(MaskError, match="runs"):
        decode_runs(1 << 11, 1 << 10, counts)


@pytest.mark.parametrize(
    "ring",
    [
        [(0, 0), (1e9, 0), (1e9, 1e9)],
        [(0, 0), (1e300, 0), (1e300, 1e300)],
        [(1e12, 0), (1e12 + 5, 0), (1e12 + 5, 5)],
        [(-1e8, 0), (5 - 1e8, 0), (5 - 1e8, 5)],
        [(0, 0), *[(30_000 * (i % 2), i) for i in range(100)]],
    ],
)
def test_rings_too_long_to_draw_are_refused(ring: list[Point]) -> None:
    with pytest.raises(MaskError, match=r"pixels long|far away"):
        union_outline([ring, SQUARE])


def test_rings_thirty_thousand_wide_are_joined(tracer: Callable[[], int]) -> None:
    wide = [(0.0, 0.0), (30_000.0, 0.0), (30_000.0, 30_000.0), (0.0, 30_000.0)]
    assert overlap([wide, SQUARE])
    assert union_outline([wide, SQUARE]) == [wide]
    assert tracer() < 200 * 2**20


def test_many_rings_are_not_compared_one_by_one() -> None:
    rings = [_shifted(SQUARE, 5 * number) for number in range(5000)]
    assert overlap(rings)
    assert len(union_outline(rings)) == 5000
