"""Whether a ring crosses itself."""

from services.formats.common.geometry import Ring

#: Pairs of sides that are compared: about as long as drawing the ring takes.
MOST_COMPARED = 200_000


def may_cross_itself(ring: Ring) -> bool:
    """Whether two sides of a ring cross in a point inside both, or so many are near each other
    that nobody looks. Touching is no crossing."""
    if len(ring) < 4:
        return False
    # From left to right: each side is compared with those that begin within its extent, which
    # are few where an outline goes in short steps.
    sides = sorted(
        (ax, bx, ax, ay, by, bx - ax, by - ay)
        if ax < bx
        else (bx, ax, ax, ay, by, bx - ax, by - ay)
        for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True)
    )
    left = MOST_COMPARED
    for index, (_, right, ax, ay, by, rx, ry) in enumerate(sides, 1):
        low, high = (ay, by) if ay < by else (by, ay)
        for other in range(index, len(sides)):
            begin, _, cx, cy, dy, sx, sy = sides[other]
            if begin >= right:
                break
            left -= 1
            if (cy >= high and dy >= high) or (cy <= low and dy <= low):
                continue
            x, y = cx - ax, cy - ay
            if (rx * y - ry * x) * (rx * (y + sy) - ry * (x + sx)) < 0 and (sx * y - sy * x) * (
                sx * (y - ry) - sy * (x - rx)
            ) < 0:
                return True
        if left < 0:
            return True
    return False
