"""Rotated boxes on the image: what YOLO-OBB and DOTA write for boxes and polygons."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.formats.common.export import ExportImage
from services.formats.common.geometry import (
    TOLERANCE,
    OrientedBox,
    Point,
    Ring,
    bounds,
    overshoot,
    ring_area,
)
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import NO_ORIENTED_BOX, POLYGON_AS_RECTANGLE, RECTANGLE_CUT
from services.formats.common.objects import Object
from services.formats.common.shapes import Rectangle, Region, TurnedBox

#: Part of the area on the image that may be missing from a box that counts as whole.
_ROUNDING = 1e-9


def oriented_box(
    item: Object,
    image: ExportImage,
    losses: LossReport,
    is_taken: Callable[[OrientedBox, ExportImage], bool] | None = None,
) -> OrientedBox | None:
    """The object as a rotated box; None where it has none on the image.

    A polygon becomes the smallest rectangle around it, which may reach over the edge of the
    image; `is_taken` says whether readers take it so, else it is cut. A box that reaches over
    the edge is not moved corner by corner, which would bend it: it becomes the part on the image
    where that is a rectangle, the smallest rectangle around that part where that lies on
    the image, or else is shortened along its own sides.
    """
    match item.shape:
        case Rectangle((x, y, w, h)):
            return OrientedBox(x + w / 2, y + h / 2, w, h, 0.0)
        case TurnedBox(oriented, ring):
            box = _on_image(oriented, ring, image)
        case Region(rings):
            points = [point for ring in rings for point in ring]
            box = min_area_box(points)
            losses.add(POLYGON_AS_RECTANGLE, item.id)
            if is_taken is not None and not is_taken(box, image):
                box = trim_box(box, image.width, image.height)
                losses.add(RECTANGLE_CUT, item.id)
        case _:
            raise TypeError(f"{item.id} covers no area")
    if box is None or box.w * box.h <= 0:
        losses.add(NO_ORIENTED_BOX, item.id)
        return None
    return box


def _on_image(box: OrientedBox, ring: Ring, image: ExportImage) -> OrientedBox | None:
    if _is_inside(box, image):
        return box
    trimmed = trim_box(box, image.width, image.height)
    if trimmed and trimmed.w * trimmed.h >= ring_area(ring) * (1 - _ROUNDING):
        return trimmed
    around = min_area_box(ring)
    return around if _is_inside(around, image) else trimmed


def _is_inside(box: OrientedBox, image: ExportImage) -> bool:
    return overshoot(bounds([box.corners()]), image.width, image.height) <= TOLERANCE


def min_area_box(points: Sequence[Point]) -> OrientedBox:
    """The smallest rectangle around the points; one of its sides lies on their hull.

    The angle is in [0, 90); a side is 0 where all points lie on one line.
    """
    if not points:
        raise ValueError("a rectangle needs at least one point")
    hull = np.asarray(_hull(points), dtype=np.float64)
    # Of equal rectangles the first: rounding must not choose among those of a square.
    sizes = _rectangle_areas(hull)
    best = int(np.argmax(sizes <= sizes.min() * (1 + _ROUNDING)))
    step = hull[(best + 1) % len(hull)] - hull[best]
    turn = math.atan2(float(step[1]), float(step[0])) % (math.pi / 2)
    if math.degrees(turn) >= 90:
        # The rest of a tiny negative angle is a quarter turn itself.
        turn = 0.0
    cos, sin = math.cos(turn), math.sin(turn)
    along, across = hull @ (cos, sin), hull @ (-sin, cos)
    u, v = float(along.min() + along.max()) / 2, float(across.min() + across.max()) / 2
    return OrientedBox(
        u * cos - v * sin,
        u * sin + v * cos,
        float(np.ptp(along)),
        float(np.ptp(across)),
        math.degrees(turn),
    )


#: Points of a hull that are all looked at for each of its sides.
_FEW = 200


def _rectangle_areas(hull: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area of the rectangle around a hull that has a side along each of the hull's."""
    steps = np.roll(hull, -1, axis=0) - hull
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    if len(hull) <= _FEW:
        directions = np.stack([np.cos(angles), np.sin(angles)])
        across = np.stack([-directions[1], directions[0]])
        few: NDArray[np.float64] = np.ptp(hull @ directions, axis=0) * np.ptp(hull @ across, axis=0)
        return few
    order = np.argsort(angles, kind="stable")
    sorted_angles = angles[order]
    extents = []
    for quarter in (0, 1):
        turned = angles + quarter * math.pi / 2
        directions = np.stack([np.cos(turned), np.sin(turned)], axis=1)
        ends = []
        for sign in (1, -1):
            # Along a hull the farthest point that way is where its sides turn away from it.
            away = turned + sign * math.pi / 2
            away = (away + math.pi) % (2 * math.pi) - math.pi
            place = np.searchsorted(sorted_angles, away) % len(hull)
            points = [hull[(order[place] + near) % len(hull)] for near in (-1, 0, 1)]
            found = np.stack([(point * directions).sum(axis=1) for point in points])
            ends.append(found.max(axis=0) if sign > 0 else found.min(axis=0))
        extents.append(ends[0] - ends[1])
    areas: NDArray[np.float64] = extents[0] * extents[1]
    return areas


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


#: Below this sine of the angle between them, a side is parallel to an edge.
_PARALLEL = 1e-9


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
