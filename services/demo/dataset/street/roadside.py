"""Where the traffic lights, lamps and trees of a street stand."""

from services.demo.dataset.figures.roadside import street_lamp, traffic_light, tree
from services.demo.dataset.street.things import Drawn, Things
from services.demo.dataset.street.view import CROSSING, StreetView

_LEAVES = (82, 132, 62)


def place_lights(view: StreetView, things: Things) -> None:
    """Places the traffic lights of a crossing."""
    if view.crossing is None:
        return
    beyond = view.crossing + CROSSING + 1
    _try_light(view, things, view.curb + 0.6, view.crossing - 4.2)
    _try_light(view, things, view.curb + 0.7, beyond)
    _try_light(view, things, -view.curb - 0.7, beyond)


def _try_light(view: StreetView, things: Things, right: float, depth: float) -> None:
    def draw() -> Drawn:
        foot, scale = view.at(right, 0, depth), view.scale(depth)
        extent = traffic_light(view.canvas, foot, scale, view.signal, view.mood.lights)
        return Drawn(
            extent,
            lambda _: view.labels.box("traffic light", extent, {"state": view.signal}),
        )

    left, _, far_right, _ = view.box(right, depth, 0.3, 3.8)
    top, bottom = view.at(right, 3.8, depth)[1], view.at(right, 2.4, depth)[1]
    things.try_place(depth, (left, top, far_right, bottom), draw)


def place_trees_and_lamps(view: StreetView, things: Things) -> None:
    """Places trees and lamps along both sides."""
    for side in (-1, 1):
        depth = view.rng.uniform(8, 14)
        while depth < 50:
            spot = side * (view.curb + (2.3 if view.rng.random() < 0.5 else 0.5))
            if not view.on_crossing(depth, 5.5):
                _try_tree_or_lamp(view, things, side, spot, depth)
            depth += view.rng.uniform(7, 13)


def _try_tree_or_lamp(
    view: StreetView, things: Things, side: int, spot: float, depth: float
) -> None:
    """A lamp beside the road, a tree farther from it."""
    lamp = abs(spot) < view.curb + 1
    foot, scale = view.at(spot, 0, depth), view.scale(depth)

    def draw() -> None:
        if lamp:
            street_lamp(view.canvas, foot, scale, -side, view.mood.lights)
        else:
            tree(view.canvas, foot, scale, _LEAVES)

    crown = (
        foot[0] - 1.5 * scale, foot[1] - 4.9 * scale,
        foot[0] + 1.5 * scale, foot[1] - 2.2 * scale,
    )  # fmt: skip
    things.try_place(depth, crown, draw, hides=not lamp)
