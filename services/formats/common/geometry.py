"""Geometry that the formats share: pure functions over pixels.

Coordinates are continuous, in pixels, from the top-left corner of the image: x to the
right in [0, width], y down in [0, height]. A ring is a closed list of points without a
repeated end; a polygon is a list of rings, filled even-odd.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
#: Below this sine of the angle between them, a side is parallel to an edge.
_PARALLEL = 1e-9
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
class Crop:
    """A raster of a part of the image, as run lengths along its rows."""

    left: int
    top: int
    width: int
    height: int
    #: Unset and set pixels in turn, unset first; together they cover the part.
    runs: NDArray[np.int64]

    @property
    def area(self) -> int:
        """Pixels that are set."""
        return int(self.runs[1::2].sum())


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


def clip_line(line: Sequence[Point], width: int, height: int) -> list[Point]:
    """The part of an open line on the image (Liang-Barsky); empty where there is none.

    Where the line leaves the image and comes back, a straight piece joins both places.
    """
    kept: list[Point] = []
    for (ax, ay), (bx, by) in pairwise(line):
        first, last = 0.0, 1.0
        for start, step, limit in ((ax, bx - ax, width), (ay, by - ay, height)):
            if step:
                near, far = sorted(((0 - start) / step, (limit - start) / step))
                first, last = max(first, near), min(last, far)
            elif not 0 <= start <= limit:
                last = -1.0
        if first > last:
            continue
        ends = (
            (ax, ay) if first == 0 else (ax + first * (bx - ax), ay + first * (by - ay)),
            (bx, by) if last == 1 else (ax + last * (bx - ax), ay + last * (by - ay)),
        )
        for point in (clamp_point(end, width, height) for end in ends):
            if not kept or kept[-1] != point:
                kept.append(point)
    return kept


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
    runs = _even_odd_runs(rings, width, height)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return Mask(width, height, rle["counts"].decode("ascii"), int(runs[1::2].sum()))


def even_odd_crop(rings: Sequence[Ring]) -> Crop:
    """The raster of a polygon on the image, cut to the pixels around it.

    Made of the mirrored polygon, whose columns are this one's rows.
    """
    left, top, w, h = bounds(rings)
    x0, y0 = math.floor(left), math.floor(top)
    width, height = max(1, math.ceil(left + w) - x0), max(1, math.ceil(top + h) - y0)
    mirrored = [[(y - y0, x - x0) for x, y in ring] for ring in rings]
    return Crop(x0, y0, width, height, _even_odd_runs(mirrored, height, width))


def needs_mask(rings: Sequence[Ring], width: int, height: int) -> bool:
    """Whether a polygon on the image has holes, or rings that overlap: then it is not the
    union of its rings."""
    if len(rings) < 2 or not may_overlap(rings):
        return False
    return any(hole_flags(rings)) or (
        even_odd_mask(rings, width, height).area != union_area(rings, width, height)
    )


def outer_rings(rings: Sequence[Ring]) -> list[Ring]:
    """The rings that are no holes."""
    return [ring for ring, hole in zip(rings, hole_flags(rings), strict=True) if not hole]


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


def trim_box(box: OrientedBox, width: int, height: int) -> OrientedBox | None:
    """A part of the box that lies on the image: at each edge the largest one with the same
    angle; None where no part is left."""
    turn = math.radians(box.angle)
    across, down = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))
    cx, cy, w, h = box.cx, box.cy, box.w, box.h
    # Direction in which the image ends, and where.
    for nx, ny, limit in ((-1, 0, 0), (1, 0, width), (0, -1, 0), (0, 1, height)):
        # How far a pixel along each side leads that way.
        a, b = nx * across[0] + ny * across[1], nx * down[0] + ny * down[1]
        over = nx * cx + ny * cy + (w * abs(a) + h * abs(b)) / 2 - limit
        if over <= 0:
            continue
        room = w * abs(a) + h * abs(b) - over
        if room <= 0:
            return None
        # The largest product of two sides that fit: each takes half of the room.
        flat_a, flat_b = abs(a) < _PARALLEL, abs(b) < _PARALLEL
        left_w = w if flat_a else min(w, max(room / 2, room - h * abs(b)) / abs(a))
        left_h = h if flat_b else min(h, (room - left_w * abs(a)) / abs(b))
        # The near corner stays.
        back_w = math.copysign((w - left_w) / 2, -a)
        back_h = math.copysign((h - left_h) / 2, -b)
        cx += back_w * across[0] + back_h * down[0]
        cy += back_w * across[1] + back_h * down[1]
        w, h = left_w, left_h
    return OrientedBox(cx, cy, w, h, box.angle) if w > 0 and h > 0 else None


def as_rle(mask: Mask) -> dict[str, Any]:
    """A mask as COCO's `segmentation` holds it."""
    return {"size": [mask.height, mask.width], "counts": mask.counts}


def _even_odd_runs(rings: Sequence[Ring], width: int, height: int) -> NDArray[np.int64]:
    """Run lengths down the columns, unset first."""
    encoded = coco_mask.frPyObjects([flat(ring) for ring in rings], height, width)
    edges, times = np.unique(
        np.concatenate([_edges(rle["counts"]) for rle in encoded]), return_counts=True
    )
    total = width * height
    edges = edges[(times % 2 == 1) & (edges < total)]
    runs: NDArray[np.int64] = np.diff(edges, prepend=0, append=total)
    return runs


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
