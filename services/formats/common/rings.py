"""Outlines from masks, and masks from outlines.

A mask is an array of height by width. Its outline runs along the edges of pixels, so that
it encloses exactly the pixels that are set.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.formats.common.geometry import Point, bounds

#: Pixels of the largest mask that is taken: more is no image that can be shown.
MAX_PIXELS = 1 << 30

_EAST, _SOUTH, _WEST, _NORTH = range(4)


class MaskError(ValueError):
    """A run-length mask that cannot be decoded; the message says why."""


def decode_runs(height: int, width: int, counts: str | Sequence[int]) -> NDArray[np.bool_]:
    """The mask that COCO writes as run lengths down the columns, plain or compressed.

    Raises:
        MaskError: the runs do not fit the size.
    """
    if height <= 0 or width <= 0 or height * width > MAX_PIXELS:
        raise MaskError(f"a mask of {width} by {height} pixels cannot be")
    runs = _decompressed(counts) if isinstance(counts, str) else list(counts)
    if any(type(run) is not int or run < 0 for run in runs) or sum(runs) != height * width:
        raise MaskError(f"its runs do not add up to {width} by {height} pixels")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def outline(mask: NDArray[np.bool_]) -> list[list[Point]]:
    """The rings around the pixels that are set, holes included: even-odd gives the mask.

    Outer rings run clockwise, holes the other way; where two pixels touch in a corner only,
    their rings stay apart. The first ring is an outer one.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    # Each side runs with set pixels on its right hand, and ends where the outline turns.
    signed = np.pad(cut, 1).astype(np.int8)
    ends = _sides(signed[1:] - signed[:-1], _EAST, _WEST)
    across = (signed[:, :-1] - signed[:, 1:]).T
    for (y, x, direction), (end_y, end_x) in _sides(across, _SOUTH, _NORTH).items():
        ends[x, y, direction] = end_x, end_y
    rings: list[list[Point]] = []
    while ends:
        x, y, direction = next(iter(ends))
        ring: list[Point] = []
        while (x, y, direction) in ends:
            ring.append((float(x + left), float(y + top)))
            x, y = ends.pop((x, y, direction))
            # Right where that goes on, so that corners do not join what is apart.
            right = (direction + 1) % 4
            direction = right if (x, y, right) in ends else (direction - 1) % 4
        rings.append(ring)
    return rings


def _sides(
    step: NDArray[np.int8], forward: int, back: int
) -> dict[tuple[int, int, int], tuple[int, int]]:
    """The sides along the lines of one axis: place and direction of the start, to the end.

    Args:
        step: per line and pixel (the first and the last are border) 1 where a side runs
            forward, -1 where it runs back.
        forward: the direction of the first kind.
        back: that of the second.
    """
    sides = {}
    turns = np.diff(step, axis=1, prepend=0) != 0
    for line in range(step.shape[0]):
        places = np.flatnonzero(turns[line])
        for start, end in pairwise(places):
            first, last = (int(start) - 1, line), (int(end) - 1, line)
            if step[line, start] > 0:
                sides[(*first, forward)] = last
            elif step[line, start] < 0:
                sides[(*last, back)] = first
    return sides


def union_outline(rings: Sequence[Sequence[Point]]) -> list[list[Point]]:
    """The outline of all pixels that pycocotools counts inside at least one of the rings."""
    left, top, width, height = bounds(rings)
    shift_x, shift_y = int(left // 1) - 1, int(top // 1) - 1
    columns, rows = int(width) + 4, int(height) + 4
    if columns * rows > MAX_PIXELS:
        raise MaskError(f"an outline of {columns} by {rows} pixels cannot be")
    encoded = _encoded(rings, shift_x, shift_y, columns, rows)
    union = decode_runs(rows, columns, coco_mask.merge(encoded)["counts"].decode())
    return [[(x + shift_x, y + shift_y) for x, y in ring] for ring in outline(union)]


def overlap(rings: Sequence[Sequence[Point]]) -> bool:
    """Whether two of the rings share area; touching is no sharing.

    Where none do, their union, which COCO means, is their even-odd fill.
    """
    boxes = [bounds([ring]) for ring in rings]
    return any(
        boxes[i][0] < boxes[j][0] + boxes[j][2]
        and boxes[j][0] < boxes[i][0] + boxes[i][2]
        and boxes[i][1] < boxes[j][1] + boxes[j][3]
        and boxes[j][1] < boxes[i][1] + boxes[i][3]
        and _share_area(np.asarray(rings[i], float), np.asarray(rings[j], float))
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
    if shift:
        raise MaskError("its counts are cut off")
    return runs
