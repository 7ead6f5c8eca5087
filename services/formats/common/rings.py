"""Outlines from masks, and masks from outlines.

A mask is kept as run lengths, so that memory follows its outline and never the image's area.
Its outline runs along the edges of pixels, so that it encloses exactly the pixels that are set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.catalog.limits import MAX_OUTLINE, MAX_RUNS, MAX_SIDE
from services.formats.common.geometry import LIMIT, Point, bounds

#: Sides of an outline that are followed.
MAX_SIDES = MAX_RUNS
#: Rings, and points of two of them, that are compared exactly.
_FEW_RINGS, _FEW_POINTS = 500, 4000

_EAST, _SOUTH, _WEST, _NORTH = range(4)


class MaskError(ValueError):
    """A mask or an outline that cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class RunMask:
    """A mask as run lengths down the columns."""

    height: int
    width: int
    #: Where runs of set pixels begin and end in turn, counted down the columns.
    edges: NDArray[np.int64]


def decode_runs(height: int, width: int, counts: str | Sequence[int]) -> RunMask:
    """The mask that COCO writes as run lengths down the columns, plain or compressed.

    Raises:
        MaskError: the runs do not fit the size, or are too many.
    """
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise MaskError(f"a mask of {width} by {height} pixels cannot be")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if len(runs) > MAX_RUNS:
        raise MaskError(f"it has {len(runs):,} runs, and at most {MAX_RUNS:,} are read")
    if any(type(run) is not int or run < 0 for run in runs) or sum(runs) != height * width:
        raise MaskError(f"its runs do not add up to {width} by {height} pixels")
    ends = np.cumsum(np.asarray(runs, dtype=np.int64))
    # The last end is that of the mask where the last run is of set pixels, and else nothing.
    ends = ends if len(ends) % 2 == 0 else ends[:-1]
    # Where a run has no length, its neighbours are one.
    places, times = np.unique(ends, return_counts=True)
    return RunMask(height, width, places[times % 2 == 1])


def outline(mask: RunMask) -> list[list[Point]]:
    """The rings around the pixels that are set, holes included: even-odd gives the mask.

    Outer rings run clockwise, holes the other way; where two pixels touch in a corner only,
    their rings stay apart. The first ring is an outer one.

    Raises:
        MaskError: they have too many corners.
    """
    columns, tops, bottoms = _in_columns(mask)
    across = _across(columns, tops, bottoms)
    down = _down(columns, tops, bottoms)
    if len(across) + len(down) > MAX_SIDES:
        raise MaskError(
            f"its outline has {len(across) + len(down):,} sides, and at most {MAX_SIDES:,} are read"
        )
    # Each side runs with set pixels on its right hand, and ends where the outline turns.
    ends: dict[tuple[int, int, int], tuple[int, int]] = {}
    for y, begin, end, is_east in across.tolist():
        ends[(begin, y, _EAST) if is_east else (end, y, _WEST)] = (end if is_east else begin, y)
    for x, top, bottom, is_north in down.tolist():
        ends[(x, bottom, _NORTH) if is_north else (x, top, _SOUTH)] = (
            (x, top) if is_north else (x, bottom)
        )
    rings: list[list[Point]] = []
    while ends:
        x, y, direction = next(iter(ends))
        ring: list[Point] = []
        while (x, y, direction) in ends:
            ring.append((float(x), float(y)))
            x, y = ends.pop((x, y, direction))
            # Right where that goes on, so that corners do not join what is apart.
            right = (direction + 1) % 4
            direction = right if (x, y, right) in ends else (direction - 1) % 4
        rings.append(ring)
    return rings


def _in_columns(
    mask: RunMask,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The runs of set pixels, cut at the ends of columns: column, top and bottom of each."""
    begins, ends = mask.edges[::2], mask.edges[1::2]
    first, last = begins // mask.height, (ends - 1) // mask.height
    counts = last - first + 1
    which = np.repeat(np.arange(len(begins)), counts)
    # The place of each piece in its run.
    nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = first[which] + nth
    tops = np.maximum(begins[which] - columns * mask.height, 0)
    bottoms = np.minimum(ends[which] - columns * mask.height, mask.height)
    return columns, tops, bottoms


def _across(
    columns: NDArray[np.int64], tops: NDArray[np.int64], bottoms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The sides along the rows: y, both ends by x, and whether it runs east. Those above set
    pixels do; equal ones of neighbouring columns are one."""
    y = np.concatenate([tops, bottoms])
    x = np.concatenate([columns, columns])
    east = np.repeat([1, 0], len(columns))
    order = np.lexsort((x, -east, y))
    y, x, east = y[order], x[order], east[order]
    goes_on = (np.diff(y) == 0) & (np.diff(east) == 0) & (np.diff(x) == 1)
    begins = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(y) else np.arange(0)
    ends = np.concatenate([begins[1:], [len(y)]]) - 1 if len(y) else begins
    return np.stack([y[begins], x[begins], x[ends] + 1, east[begins]], axis=1)


def _down(
    columns: NDArray[np.int64], tops: NDArray[np.int64], bottoms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The sides along the columns: x, top, bottom, and whether it runs north. Those with set
    pixels on their right alone do; where both sides are set, or neither is, there is none."""
    x = np.concatenate([columns, columns, columns + 1, columns + 1])
    y = np.concatenate([tops, bottoms, tops, bottoms])
    # 1 where only the right is set, -1 where only the left is.
    step = np.repeat([1, -1, -1, 1], len(columns))
    order = np.lexsort((y, x))
    x, y, step = x[order], y[order], step[order]
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(x) != 0) | (np.diff(y) != 0)]))
    if not len(x):
        begins = np.arange(0)
    steps = np.add.reduceat(step, begins) if len(begins) else step
    begins, steps = begins[steps != 0], steps[steps != 0]
    value = np.cumsum(steps)
    there = np.flatnonzero(value != 0)
    return np.stack(
        [x[begins[there]], y[begins[there]], y[begins[there + 1]], value[there] > 0], axis=1
    )


def union_outline(rings: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """The outline of all pixels that pycocotools counts inside at least one of the rings.

    Raises:
        MaskError: they are too long to be drawn.
    """
    left, top, width, height = bounds(rings)
    longest = max(_length(ring) for ring in rings)
    # pycocotools checks nothing of this, and writes beyond its memory.
    if not longest <= MAX_OUTLINE:
        raise MaskError(f"a ring is {longest:.4g} pixels long")
    if max(width, height) > MAX_SIDE - 4 or max(abs(left), abs(top)) > LIMIT:
        raise MaskError(f"they reach over {width:.4g} by {height:.4g} pixels, or lie far away")
    shift_x, shift_y = int(left // 1) - 1, int(top // 1) - 1
    columns, rows = int(width) + 4, int(height) + 4
    encoded = _encoded(rings, shift_x, shift_y, columns, rows)
    union = decode_runs(rows, columns, coco_mask.merge(encoded)["counts"].decode())
    return [[(x + shift_x, y + shift_y) for x, y in ring] for ring in outline(union)]


def _length(ring: Sequence[Point]) -> float:
    """Steps along a ring, each a pixel across or down."""
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return sum(max(abs(ax - bx), abs(ay - by)) for (ax, ay), (bx, by) in pairs)


def overlap(rings: Sequence[Sequence[Point]]) -> bool:
    """Whether two of the rings share area; touching is no sharing. Of rings that are too many,
    or have too many points, that are near each other, it says that they do.

    Where none do, their union, which COCO means, is their even-odd fill.
    """
    if len(rings) > _FEW_RINGS:
        return True
    boxes = [bounds([ring]) for ring in rings]
    return any(
        boxes[i][0] < boxes[j][0] + boxes[j][2]
        and boxes[j][0] < boxes[i][0] + boxes[i][2]
        and boxes[i][1] < boxes[j][1] + boxes[j][3]
        and boxes[j][1] < boxes[i][1] + boxes[i][3]
        and (
            len(rings[i]) + len(rings[j]) > _FEW_POINTS
            or _share_area(np.asarray(rings[i], float), np.asarray(rings[j], float))
        )
        for i in range(len(rings))
        for j in range(i)
    )


def _share_area(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Sweeps over the slabs between neighbouring corners: there all sides are straight, and
    what two spans share is widest at an end of the slab or where two sides cross."""
    levels = np.unique(np.concatenate([first[:, 1], second[:, 1]]))
    low = max(first[:, 1].min(), second[:, 1].min())
    high = min(first[:, 1].max(), second[:, 1].max())
    levels = levels[(levels >= low) & (levels <= high)]
    # Coordinates beyond reason have no difference, and compare as touching.
    with np.errstate(over="ignore", invalid="ignore"):
        for y0, y1 in pairwise(levels):
            for a in _spans(first, y0, y1):
                for b in _spans(second, y0, y1):
                    if _widest(a, b) > _TOUCHING:
                        return True
    return False


#: Pixels that two rings may share along a line and still only touch.
_TOUCHING = 1e-6


def _spans(ring: NDArray[np.float64], y0: float, y1: float) -> list[NDArray[np.float64]]:
    """The even-odd inside of a ring in a slab: left and right side, each by x at y0 and y1."""
    start, end = ring, np.roll(ring, -1, axis=0)
    flip = start[:, 1] > end[:, 1]
    lower, upper = np.where(flip[:, None], end, start), np.where(flip[:, None], start, end)
    crosses = (lower[:, 1] <= y0) & (upper[:, 1] >= y1) & (lower[:, 1] < upper[:, 1])
    lower, upper = lower[crosses], upper[crosses]
    slope = (upper[:, 0] - lower[:, 0]) / (upper[:, 1] - lower[:, 1])
    sides = np.stack([lower[:, 0] + (y - lower[:, 1]) * slope for y in (y0, y1)], axis=1)
    sides = sides[np.argsort(sides.sum(axis=1), kind="stable")]
    return [sides[index : index + 2] for index in range(0, len(sides) - 1, 2)]


def _widest(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The greatest width that two spans of a slab share."""
    places = [0.0, 1.0]
    for side in (0, 1):
        at_start, at_end = a[side] - b[side]
        if at_start * at_end < 0:
            places.append(at_start / (at_start - at_end))
    widths = []
    for place in places:
        (a0, a1), (b0, b1) = (span[:, 0] + (span[:, 1] - span[:, 0]) * place for span in (a, b))
        widths.append(min(a1, b1) - max(a0, b0))
    return float(max(widths))


def _encoded(
    rings: Sequence[Sequence[Point]], shift_x: int, shift_y: int, columns: int, rows: int
) -> list[dict[str, object]]:
    flat = [[v for x, y in ring for v in (x - shift_x, y - shift_y)] for ring in rings]
    result: list[dict[str, object]] = coco_mask.frPyObjects(flat, rows, columns)
    return result


def _decompressed(counts: str) -> list[int]:
    """The runs in COCO's compressed text.

    Groups of 5 bits from 48 up, lowest first, bit 5 set while more follow, the top bit of
    the last as sign; from the fourth run on as the difference to the run two before
    (`rleFrString` in cocodataset/cocoapi, common/maskApi.c, which reads past the end of
    text that was cut off).
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise MaskError("its counts are no compressed runs")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
            if len(runs) > MAX_RUNS:
                raise MaskError(f"it has more than {MAX_RUNS:,} runs")
    if shift:
        raise MaskError("its counts are cut off")
    return runs
