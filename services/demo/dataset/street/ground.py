"""The ground of a street: road, sidewalks, crossing, and the lines of its lanes."""

from services.demo.dataset.canvas import Color
from services.demo.dataset.geometry import clip_path
from services.demo.dataset.moods import RAIN
from services.demo.dataset.street.view import CROSSING, LANE, NEAR, StreetView, steps

_FIELDS: Color = (134, 146, 112)
_PAVING: Color = (168, 164, 158)
_KERBSTONE: Color = (126, 124, 120)
_WHITE: Color = (226, 226, 220)
#: Where the ground still shows anything.
_FAR = 80


def paint_ground(view: StreetView) -> None:
    """Paints everything flat but the lanes."""
    asphalt: Color = (84, 86, 90) if view.mood is not RAIN else (92, 98, 106)
    view.canvas.box(0, view.horizon, view.canvas.width, view.canvas.height, _FIELDS)
    view.strip(-view.facade - 1, view.facade + 1, NEAR, _FAR, _PAVING)
    view.strip(-view.curb - 0.2, view.curb + 0.2, NEAR, _FAR, _KERBSTONE)
    view.strip(-view.curb, view.curb, NEAR, _FAR, asphalt)
    if view.crossing is not None:
        _paint_crossing(view, view.crossing, asphalt)
    for _ in range(26):
        x, z = view.rng.uniform(-view.curb, view.curb), view.rng.uniform(4, 40)
        patch = view.rng.randrange(-7, 8)
        shade: Color = (asphalt[0] + patch, asphalt[1] + patch, asphalt[2] + patch)
        reach = view.rng.uniform(0.2, 0.6)
        if abs(x) + reach < view.curb and not view.on_crossing(z, 5):
            view.strip(x - reach, x + reach, z, z + 1.2, shade)


def _paint_crossing(view: StreetView, near: float, asphalt: Color) -> None:
    """The crossing street, and before it a zebra and a line to stop at."""
    far = near + CROSSING
    view.strip(-70, 70, near - 0.2, far + 0.2, _KERBSTONE)
    view.strip(-70, 70, near, far, asphalt)
    stripes = int(view.curb * 2)
    for stripe in range(stripes):
        left = -view.curb + (stripe + 0.25) * 2 * view.curb / stripes
        view.strip(left, left + 0.5, near - 3.4, near - 0.6, _WHITE)
    view.strip(0.15, view.curb, near - 4.5, near - 4.1, _WHITE)


def paint_lanes(view: StreetView) -> None:
    """Paints and labels the lines between and beside the lanes."""
    for number in range(view.lanes + 1):
        right = -view.curb + number * LANE
        middle = number == view.lanes / 2
        edge = number in (0, view.lanes)
        right += 0.3 if number == 0 else -0.3 if number == view.lanes else 0
        dashed = not edge and not (middle and view.lanes == 4)
        color: Color = (236, 190, 70) if middle else (228, 228, 224)
        for near, far in view.stretches(4.1, 0.5):
            if dashed:
                start = near + view.rng.uniform(0, 1)
                while start < far - 1:
                    view.strip(right - 0.08, right + 0.08, start, min(start + 3, far), color)
                    start += 5.5
            else:
                view.strip(right - 0.07, right + 0.07, near, far, color)
            path = [view.at(right, 0, z) for z in steps(near, far)]
            for part in clip_path(path, view.canvas.width, view.canvas.height):
                view.labels.polyline("lane", part, {"style": "dashed" if dashed else "solid"})
