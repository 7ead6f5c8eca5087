"""Geometry that the formats share: pure functions over pixels.

Coordinates are continuous, in pixels, from the top-left corner of the image: x to the
right in [0, width], y down in [0, height]. A ring is a closed list of points without a
repeated end; a polygon is a list of rings, filled even-odd.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Ring: TypeAlias = list[Point]
#: Left, top, width, height.
Box: TypeAlias = tuple[float, float, float, float]

#: Overshoot, in pixels, that is rounding and no loss.
TOLERANCE = 1e-6
#: The farthest, in pixels, that a coordinate can lie from the image and still mean something.
LIMIT = 1e9


# Not frozen: one is made for each annotation, and that would take thrice the time.
@dataclass(slots=True)
class OrientedBox:
    """A rectangle turned about its centre: sides along its own axes, degrees clockwise."""

    cx: float
    cy: float
    w: float
    h: float
    angle: float

    def corners(self) -> Ring:
        """Top-left, top-right, bottom-right, bottom-left of the box before it was turned."""
        if not self.angle:
            x0, x1 = self.cx - self.w / 2, self.cx + self.w / 2
            y0, y1 = self.cy - self.h / 2, self.cy + self.h / 2
            return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        turn = math.radians(self.angle)
        cos, sin = math.cos(turn), math.sin(turn)
        right = (self.w / 2 * cos, self.w / 2 * sin)
        down = (-self.h / 2 * sin, self.h / 2 * cos)
        return [
            (self.cx + a * right[0] + b * down[0], self.cy + a * right[1] + b * down[1])
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]


def ring_of(path: Iterable[Mapping[str, float]]) -> Ring:
    """A ring from a list of `{x, y}`."""
    return [(point["x"], point["y"]) for point in path]


def in_reason(points: Iterable[Sequence[float]]) -> bool:
    """Whether every number is one, and small enough that products of two stay exact enough."""
    return all(abs(value) <= LIMIT for point in points for value in point)


def flat(ring: Ring) -> list[float]:
    """x and y in turn."""
    return [value for point in ring for value in point]


def rounded(numbers: Sequence[float], digits: int) -> list[float]:
    """The numbers in so many digits after the point; no zero is negative. As `round` does it, which
    takes thrice the time."""
    text = f"%.{digits}f " * len(numbers) % tuple(numbers)
    return [float(word) + 0.0 for word in text.split()]


def bounds(rings: Iterable[Iterable[Point]]) -> Box:
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
