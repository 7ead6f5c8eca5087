"""How the rings of a polygon lie in one another: holes, outer rings, seams between them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.formats.common.geometry import TOLERANCE, Box, Ring, bounds, ring_area


def hole_flags(rings: Sequence[Ring]) -> list[bool]:
    """Which rings are holes: those inside an odd number of the others."""
    if len(rings) == 1:
        return [False]
    boxes = [bounds([ring]) for ring in rings]
    arrays = [np.asarray(ring, dtype=np.float64) for ring in rings]
    return [
        sum(
            _box_inside(boxes[i], boxes[j]) and _ring_inside(arrays[i], arrays[j])
            for j in range(len(rings))
            if i != j
        )
        % 2
        == 1
        for i in range(len(rings))
    ]


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
    boxes = [bounds([ring]) for ring in rings]
    return any(
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


def bridge(rings: Sequence[Ring]) -> Ring:
    """One ring with the area of all: each further ring is joined at the nearest point by a
    seam, a side that is walked there and back and so has no width.

    Outer rings run one way and holes the other, so that the area is the same whether a
    reader fills even-odd or by winding.
    """
    flags = hole_flags(rings)
    order = sorted(range(len(rings)), key=flags.__getitem__)
    joined: Ring = []
    for ring, hole in ((rings[i], flags[i]) for i in order):
        if (_signed_area(ring) < 0) != hole:
            ring = ring[::-1]
        if not joined:
            joined = list(ring)
            continue
        i, j = _nearest(joined, ring)
        joined = [*joined[: i + 1], *ring[j:], *ring[: j + 1], *joined[i:]]
    return joined


#: Sides of a ring that are asked whether they lie in another.
_SAMPLE = 64


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


def _box_inside(inner: Box, outer: Box) -> bool:
    return (
        inner[0] >= outer[0]
        and inner[1] >= outer[1]
        and inner[0] + inner[2] <= outer[0] + outer[2] + TOLERANCE
        and inner[1] + inner[3] <= outer[1] + outer[3] + TOLERANCE
    )


def _ring_inside(inner: NDArray[np.float64], outer: NDArray[np.float64]) -> bool:
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
