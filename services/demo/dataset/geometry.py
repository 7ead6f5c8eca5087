"""Cutting shapes at the edge of the picture."""

import itertools
from collections.abc import Sequence

from services.demo.dataset.canvas import Point

#: Square pixels.
_SLIVER = 60.0


def clip_ring(ring: Sequence[Point], width: float, height: float) -> list[Point]:
    """The part of a ring inside the picture (Sutherland-Hodgman); empty if there is none."""
    points = list(ring)
    for axis, limit, keep_below in (
        (0, 0, False),
        (0, width, True),
        (1, 0, False),
        (1, height, True),
    ):
        kept: list[Point] = []
        for start, end in zip([*points[-1:], *points], points, strict=False):
            start_in = (start[axis] <= limit) if keep_below else (start[axis] >= limit)
            end_in = (end[axis] <= limit) if keep_below else (end[axis] >= limit)
            if start_in != end_in:
                share = (limit - start[axis]) / (end[axis] - start[axis])
                kept.append(between(start, end, share))
            if end_in:
                kept.append(end)
        points = kept
    return points if len(points) >= 3 else []


def clip_rings(rings: Sequence[Sequence[Point]], width: float, height: float) -> list[list[Point]]:
    """An outer ring and its holes inside the picture, without slivers that nobody sees;
    empty if the outer ring is one.
    """
    clipped = [clip_ring(ring, width, height) for ring in rings]
    if _area(clipped[0]) < _SLIVER:
        return []
    return [ring for ring in clipped if _area(ring) >= _SLIVER]


def clip_path(path: Sequence[Point], width: float, height: float) -> list[list[Point]]:
    """The parts of an open path inside the picture, in order."""
    parts: list[list[Point]] = []
    for start, end in itertools.pairwise(path):
        piece = _clip_segment(start, end, width, height)
        if piece is None:
            continue
        if parts and parts[-1][-1] == piece[0]:
            parts[-1].append(piece[1])
        else:
            parts.append(list(piece))
    return parts


def _clip_segment(
    start: Point, end: Point, width: float, height: float
) -> tuple[Point, Point] | None:
    """Liang-Barsky; None where nothing of any length is inside."""
    first, last = 0.0, 1.0
    for axis, limit in ((0, width), (1, height)):
        step = end[axis] - start[axis]
        if step == 0:
            if not 0 <= start[axis] <= limit:
                return None
            continue
        enter, leave = sorted((-start[axis] / step, (limit - start[axis]) / step))
        first, last = max(first, enter), min(last, leave)
    if first >= last:
        return None
    return (
        start if first == 0 else between(start, end, first),
        end if last == 1 else between(start, end, last),
    )


def _area(ring: Sequence[Point]) -> float:
    pairs = zip(ring, [*ring[1:], *ring[:1]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def between(start: Point, end: Point, share: float) -> Point:
    """The point at a share of the way."""
    return (
        start[0] + (end[0] - start[0]) * share,
        start[1] + (end[1] - start[1]) * share,
    )
