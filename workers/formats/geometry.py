"""Geometry that the formats share: pure functions over pixels.

Coordinates are continuous, in pixels, from the top-left corner of the image: x to the
right in [0, width], y down in [0, height]. A ring is a closed list of points without a
repeated end; a polygon is a list of rings, filled even-odd.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Point: TypeAlias = tuple[float, float]
Ring: TypeAlias = list[Point]
#: Left, top, width, height.
Box: TypeAlias = tuple[float, float, float, float]

#: Overshoot, in pixels, that is rounding and no loss.
TOLERANCE = 1e-6
#: The farthest, in pixels, that a coordinate can lie from the image and still mean something.
LIMIT = 1e9
#: Sides of a ring that are asked whether they lie in another.
_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class OrientedBox:
    """A rectangle turned about its centre: sides along its own axes, degrees clockwise."""

    cx: float
    cy: float
    w: float
    h: float
    angle: float

    def corners(self) -> Ring:
        """Top-left, top-right, bottom-right, bottom-left of the box before it was turned."""
        turn = math.radians(self.angle)
        cos, sin = math.cos(turn), math.sin(turn)
        right = (self.w / 2 * cos, self.w / 2 * sin)
        down = (-self.h / 2 * sin, self.h / 2 * cos)
        return [
            (self.cx + a * right[0] + b * down[0], self.cy + a * right[1] + b * down[1])
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]


@dataclass(frozen=True, slots=True)
class Mask:
    """A raster as COCO writes it: run lengths down the columns, compressed to ASCII."""

    width: int
    height: int
    counts: str
    #: Pixels that are set.
    area: int


def ring_of(path: Iterable[Mapping[str, float]]) -> Ring:
    """A ring from a list of `{x, y}`."""
    return [(point["x"], point["y"]) for point in path]


def in_reason(points: Iterable[Sequence[float]]) -> bool:
    """Whether every number is one, and small enough that products of two stay exact enough."""
    return all(abs(value) <= LIMIT for point in points for value in point)


def flat(ring: Ring) -> list[float]:
    """x and y in turn."""
    return [value for point in ring for value in point]


def bounds(rings: Iterable[Ring]) -> Box:
    """The axis-aligned box around all points; there must be one."""
    points = [point for ring in rings for point in ring]
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    left, top = min(xs), min(ys)
    return left, top, max(xs) - left, max(ys) - top


def clamp_point(point: Point, width: int, height: int) -> Point:
    """The nearest point of the image."""
    return min(max(0.0, point[0]), width), min(max(0.0, point[1]), height)


def clamp_box(box: Box, width: int, height: int) -> Box:
    """The part of a box on the image; its sides are 0 or less where there is none."""
    left, top, w, h = box
    right, bottom = min(left + w, width), min(top + h, height)
    left, top = max(0.0, left), max(0.0, top)
    return left, top, right - left, bottom - top


def overshoot(box: Box, width: int, height: int) -> float:
    """How far, in pixels, a box reaches over the image's edges; 0 where it does not."""
    left, top, w, h = box
    return max(-left, -top, left + w - width, top + h - height, 0.0)


def clip_ring(ring: Ring, width: int, height: int) -> Ring:
    """The part of a ring on the image (Sutherland-Hodgman); empty where there is none.

    Cutting, and not moving each point to the edge, keeps the sides that stay where they
    are. Where a concave ring falls into parts, seams along the edge join them.
    """
    # Axis, limit, and the direction in which the image lies.
    sides: tuple[tuple[int, float, int], ...] = ()
    if overshoot(bounds([ring]), width, height) > TOLERANCE:
        sides = ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1))
    for axis, limit, sign in sides:
        kept: Ring = []
        for before, point in zip([*ring[-1:], *ring[:-1]], ring, strict=True):
            inside = sign * (point[axis] - limit) >= 0
            if inside != (sign * (before[axis] - limit) >= 0):
                part = (limit - before[axis]) / (point[axis] - before[axis])
                other = before[1 - axis] + part * (point[1 - axis] - before[1 - axis])
                kept.append((limit, other) if axis == 0 else (other, limit))
            if inside:
                kept.append(point)
        ring = kept
    return [clamp_point(point, width, height) for point in ring]


def ring_area(ring: Ring) -> float:
    """The area inside a ring that does not cross itself."""
    x0, y0 = ring[0]
    # Relative to the first point: far from the origin the products lose digits.
    xs = [x - x0 for x, _ in ring]
    ys = [y - y0 for _, y in ring]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(ring)))) / 2


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


def may_overlap(rings: Sequence[Ring]) -> bool:
    """Whether the boxes of two rings share area: a cheap test before a raster is made."""
    boxes = [bounds([ring]) for ring in rings]
    return any(
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


def even_odd_mask(rings: Sequence[Ring], width: int, height: int) -> Mask:
    """The raster of a polygon: pycocotools' raster of each ring, combined even-odd.

    The rings' run lengths are combined as such (a boundary that occurs twice cancels), so
    that memory follows the outline and never the image's area.
    """
    encoded = coco_mask.frPyObjects([flat(ring) for ring in rings], height, width)
    edges, times = np.unique(
        np.concatenate([_edges(rle["counts"]) for rle in encoded]), return_counts=True
    )
    total = width * height
    edges = edges[(times % 2 == 1) & (edges < total)]
    runs = np.diff(edges, prepend=0, append=total)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return Mask(width, height, rle["counts"].decode("ascii"), int(runs[1::2].sum()))


def union_area(rings: Sequence[Ring], width: int, height: int) -> int:
    """Pixels that the union of the rings covers, which is how COCO reads a list of rings."""
    encoded = coco_mask.frPyObjects([flat(ring) for ring in rings], height, width)
    return int(coco_mask.area(coco_mask.merge(encoded)))


def min_area_box(points: Sequence[Point]) -> OrientedBox:
    """The smallest rectangle around the points; one of its sides lies on their hull.

    The angle is in [0, 90); a side is 0 where all points lie on one line.
    """
    if not points:
        raise ValueError("a rectangle needs at least one point")
    hull = _hull(points)
    array = np.asarray(hull, dtype=np.float64)
    found: list[OrientedBox] = []
    for (ax, ay), (bx, by) in zip(hull, [*hull[1:], hull[0]], strict=True):
        turn = math.atan2(by - ay, bx - ax) % (math.pi / 2)
        cos, sin = math.cos(turn), math.sin(turn)
        along, across = array @ (cos, sin), array @ (-sin, cos)
        u, v = float(along.min() + along.max()) / 2, float(across.min() + across.max()) / 2
        found.append(
            OrientedBox(
                u * cos - v * sin,
                u * sin + v * cos,
                float(np.ptp(along)),
                float(np.ptp(across)),
                math.degrees(turn) % 90,
            )
        )
    return min(found, key=lambda box: box.w * box.h)


def as_rle(mask: Mask) -> dict[str, Any]:
    """A mask as COCO's `segmentation` holds it."""
    return {"size": [mask.height, mask.width], "counts": mask.counts}


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


def _hull(points: Sequence[Point]) -> Ring:
    """The convex hull (Andrew's monotone chain); a single point stays one."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    hull: Ring = []
    for sweep in (ordered, ordered[::-1]):
        chain: Ring = []
        for x, y in sweep:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                chain.pop()
            chain.append((x, y))
        hull += chain[:-1]
    return hull


def _edges(counts: bytes) -> NDArray[np.int64]:
    """Where runs end, from COCO's compressed counts.

    Each run is written in groups of 5 bits, lowest first, bit 5 set while more follow, the
    top bit of the last as sign; from the fourth on as the difference to the run two before
    (`rleToString` in cocodataset/cocoapi, common/maskApi.c).
    """
    runs: list[int] = []
    value = shift = 0
    for char in counts:
        bits = char - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return np.cumsum(runs, dtype=np.int64)
