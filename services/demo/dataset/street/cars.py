"""Where the cars of a street drive."""

from services.demo.dataset.canvas import Extent
from services.demo.dataset.classes import CAR_COLORS
from services.demo.dataset.figures.cars import car_across, car_along
from services.demo.dataset.street.things import Drawn, Things, occluded
from services.demo.dataset.street.view import LANE, StreetView


def place_cars(view: StreetView, things: Things) -> None:
    """Places cars in every lane, and on the crossing street while ours waits."""
    rng = view.rng
    for lane in range(view.lanes):
        right = -view.curb + (lane + 0.5) * LANE
        coming = right < 0
        depth = rng.uniform(8, 18)
        while depth < 48:
            if not view.on_crossing(depth, 5.0):
                _try_along(view, things, right + rng.uniform(-0.25, 0.25), depth, coming)
            depth += rng.uniform(7, 20)
    if view.crossing is not None and view.signal == "red":
        for heading, offset in ((1, 2.2), (-1, 5.6)):
            right = rng.uniform(-12, -4)
            while right < 12:
                _try_across(view, things, right, view.crossing + offset, heading)
                right += rng.uniform(6, 11)


def _try_along(view: StreetView, things: Things, right: float, depth: float, coming: bool) -> None:
    paint = view.rng.choice(CAR_COLORS)
    foot, scale = view.at(right, 0, depth), view.scale(depth)

    def draw() -> Drawn:
        extent = car_along(view.canvas, foot, scale, paint, coming, view.mood.lights)
        return _drawn(view, extent, paint)

    things.try_place(depth, view.box(right, depth, 0.95, 1.5), draw)


def _try_across(view: StreetView, things: Things, right: float, depth: float, heading: int) -> None:
    paint = view.rng.choice(CAR_COLORS)
    foot, scale = view.at(right, 0, depth), view.scale(depth)

    def draw() -> Drawn:
        extent = car_across(view.canvas, foot, scale, paint, heading, view.mood.lights)
        return _drawn(view, extent, paint)

    things.try_place(depth, view.box(right, depth, 2.2, 1.5), draw)


def _drawn(view: StreetView, extent: Extent, paint: str) -> Drawn:
    def label(front: list[Extent]) -> None:
        attributes = {"color": paint, "occluded": occluded(extent, front)}
        view.labels.box("car", extent, attributes)

    return Drawn(extent, label)
