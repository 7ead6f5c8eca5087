"""Whether a ring crosses itself."""

import numpy as np
from numpy.typing import NDArray

from services.formats.common.geometry import Ring

#: Sides that are compared with all others at once.
_BLOCK = 256


def crosses_itself(ring: Ring) -> bool:
    """Whether two sides of a ring cross in a point inside both; touching is no crossing."""
    if len(ring) < 4:
        return False
    points = np.asarray(ring, dtype=np.float64)
    points = points - points[0]
    start, side = points, np.roll(points, -1, axis=0) - points
    for first in range(0, len(points), _BLOCK):
        a, r = start[first : first + _BLOCK, None], side[first : first + _BLOCK, None]
        # Each pair of sides once.
        b, s = start[None, first:], side[None, first:]
        between = b - a
        if (
            (_cross(r, between) * _cross(r, between + s) < 0)
            & (_cross(s, between) * _cross(s, between - r) < 0)
        ).any():
            return True
    return False


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
