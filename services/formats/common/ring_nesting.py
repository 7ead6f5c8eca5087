"""How the rings of a polygon lie in one another: holes, outer rings, seams between them."""

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.formats.common.geometry import TOLERANCE, Box, Point, Ring, bounds, ring_area

#: x and y of points, a row each.
Points: TypeAlias = NDArray[np.float64]
#: Top and bottom of a box.
Span: TypeAlias = tuple[float, float]


def hole_flags(rings: Sequence[Ring]) -> list[bool]:
    """Which rings are holes: those inside an odd number of the others."""
    if len(rings) == 1:
        return [False]
    arrays = [np.asarray(ring, dtype=np.float64) for ring in rings]
    pairs = _nested_boxes(arrays)
    if pairs is None:
        return _flags_by_points(arrays)
    depths = [0] * len(rings)
    for inner, outer in pairs:
        depths[inner] += _ring_inside(arrays[inner], arrays[outer])
    return [depth % 2 == 1 for depth in depths]


def polygon_area(rings: Sequence[Ring]) -> float:
    """The outer rings' areas less the holes'."""
    return sum(
        -ring_area(ring) if hole else ring_area(ring)
        for ring, hole in zip(rings, hole_flags(rings), strict=True)
    )


def outer_rings(rings: Sequence[Ring]) -> list[Ring]:
    """The rings that are no holes."""
    return [ring for ring, hole in zip(rings, hole_flags(rings), strict=True) if not hole]


def may_overlap(rings: Sequence[Ring]) -> bool:
    """Whether the boxes of two rings share area: a cheap test before a raster is made."""
    # From left to right: until two are found, the boxes that are under way lie one below the
    # other, and only the neighbours of a new one can share area with it.
    under_way: list[Span] = []
    ends: list[tuple[float, Span]] = []
    for left, top, width, height in sorted(bounds([ring]) for ring in rings):
        while ends and ends[0][0] <= left:
            _, ended = heappop(ends)
            del under_way[bisect_left(under_way, ended)]
        span = top, top + height
        place = bisect_left(under_way, span)
        before, after = under_way[max(0, place - 1) : place], under_way[place : place + 1]
        if any(span[0] < end and start < span[1] for start, end in (*before, *after)):
            return True
        under_way.insert(place, span)
        heappush(ends, (left + width, span))
    return False


def bridge(rings: Sequence[Ring]) -> Ring:
    """One ring with the area of all: each further ring is joined at the nearest point by a
    seam, a side that is walked there and back and so has no width.

    Outer rings run one way and holes the other, so that the area is the same whether a
    reader fills even-odd or by winding.
    """
    flags = hole_flags(rings)
    order = sorted(range(len(rings)), key=flags.__getitem__)
    turned = [
        rings[i][::-1] if (_signed_area(rings[i]) < 0) != flags[i] else list(rings[i])
        for i in order
    ]
    points = sum(map(len, turned))
    if points * points > _MOST_COMPARED:
        return _chain(turned)
    joined: Ring = []
    for ring in turned:
        if not joined:
            joined = ring
            continue
        i, j = _nearest(joined, ring)
        joined = [*joined[: i + 1], *ring[j:], *ring[: j + 1], *joined[i:]]
    return joined


def _chain(rings: Sequence[Ring]) -> Ring:
    """The same for very many points: each ring hangs on the one before it, in an order that
    keeps neighbours together, from its leftmost point to that one's."""
    whole = bounds(rings)
    starts = [min(range(len(ring)), key=ring.__getitem__) for ring in rings]
    order = sorted(range(len(rings)), key=lambda i: _along_a_curve(rings[i][starts[i]], whole))
    turned = [[*rings[i][starts[i] :], *rings[i][: starts[i] + 1]] for i in order]
    # Walked to the last ring along the seams, around it, and back around each.
    return [*(ring[0] for ring in turned[:-1]), *(p for ring in turned[::-1] for p in ring)]


def _along_a_curve(point: Point, whole: Box) -> int:
    """The place of a point on a Z-shaped curve through the whole box."""
    place = 0
    for value, low, size, shift in zip(point, whole[:2], whole[2:], (0, 1), strict=True):
        cell = int((value - low) / size * 65535) if size > 0 else 0
        for bit in range(16):
            place |= (cell >> bit & 1) << (2 * bit + shift)
    return place


#: Sides of a ring that are asked whether they lie in another.
_SAMPLE = 64
#: Sides or points that are compared one by one; where there are more, a way is taken that does
#: not grow with their square.
_MOST_COMPARED = 20_000_000
#: What looking at a pair of rings costs beside their sides.
_PAIR = 10_000


def _signed_area(ring: Ring) -> float:
    array = np.asarray(ring, dtype=np.float64) - ring[0]
    x, y = array.T
    return float(np.sum(np.roll(x, 1) * y - x * np.roll(y, 1))) / 2


def _nearest(first: Ring, second: Ring) -> tuple[int, int]:
    """The positions of the points of two rings that lie nearest to each other."""
    points = np.asarray(first, dtype=np.float64)
    # A row at a time: rings of thousands of points would make a large table.
    found = []
    for j, point in enumerate(second):
        distances = ((points - point) ** 2).sum(axis=1)
        i = int(distances.argmin())
        found.append((float(distances[i]), i, j))
    _, i, j = min(found)
    return i, j


def _nested_boxes(arrays: Sequence[Points]) -> list[tuple[int, int]] | None:
    """Pairs of rings, of which the box of the first lies in that of the second; None where
    comparing them would take too long."""
    low = np.array([array.min(axis=0) for array in arrays])
    high = np.array([array.max(axis=0) for array in arrays])
    by_left = np.argsort(low[:, 0], kind="stable")
    lefts = low[by_left, 0]
    pairs: list[tuple[int, int]] = []
    compared = 0
    for outer, array in enumerate(arrays):
        first = np.searchsorted(lefts, low[outer, 0], "left")
        last = np.searchsorted(lefts, high[outer, 0], "right")
        near = by_left[first:last]
        inside = (low[near] >= low[outer]).all(axis=1)
        inside &= (high[near] <= high[outer] + TOLERANCE).all(axis=1)
        inner = near[inside]
        compared += len(near) + (_PAIR + _SAMPLE * len(array)) * (len(inner) - 1)
        if compared > _MOST_COMPARED:
            return None
        pairs += [(int(i), outer) for i in inner if i != outer]
    return pairs


def _flags_by_points(arrays: Sequence[Points]) -> list[bool]:
    """Which rings are holes, told by one point of each, the middle of its steepest side: of the
    others' sides an odd number passes to the left of it."""
    owners = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
    start = np.concatenate(arrays)
    end = np.concatenate([np.roll(array, -1, axis=0) for array in arrays])
    drop = np.abs(end[:, 1] - start[:, 1])
    # Of each ring the last, where they are sorted by ring and drop.
    steepest = np.lexsort((drop, owners))[np.cumsum([len(array) for array in arrays]) - 1]
    points = (start[steepest] + end[steepest]) / 2
    start, end, owners = start[drop > 0], end[drop > 0], owners[drop > 0]
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    flags = np.zeros(len(arrays), dtype=bool)
    order = np.argsort(points[:, 1], kind="stable")
    for chunk in np.array_split(order, -(-len(order) // _SAMPLE)):
        x, y = points[chunk].T[:, :, None]
        near = (low <= y[-1]) & (high > y[0])
        at = start[near, 0] + (y - start[near, 1]) * slope[near]
        passes = (low[near] <= y) & (high[near] > y) & (at < x)
        passes &= owners[near] != chunk[:, None]
        flags[chunk] = passes.sum(axis=1) % 2 == 1
    return [bool(flag) for flag in flags]


def _ring_inside(inner: Points, outer: Points) -> bool:
    """Whether most middles of the inner ring's sides (a sample of them) lie in the outer ring.

    Middles and a majority, because rings of one polygon often touch in their corners.
    """
    middles = (inner + np.roll(inner, 1, axis=0)) / 2
    x, y = middles[:: -(-len(middles) // _SAMPLE)].T[:, :, None]
    (x0, y0), (x1, y1) = outer.T, np.roll(outer, 1, axis=0).T
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    hits = (spans & (x < crossing)).sum(axis=1) % 2
    return bool(hits.mean() > 0.5)
