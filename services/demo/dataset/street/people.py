"""Where the people of a street walk, and how they look."""

from random import Random

from services.demo.dataset.canvas import Color, Extent
from services.demo.dataset.figures.people import Look, person
from services.demo.dataset.street.things import Drawn, Things, inside, occluded
from services.demo.dataset.street.view import SIDEWALK, StreetView

#: People of fewer pixels get a box and no pose.
_POSE_HEIGHT = 56.0
_SHIRTS: tuple[Color, ...] = (
    (206, 62, 56), (56, 96, 176), (236, 200, 70), (70, 140, 90),
    (230, 230, 226), (120, 70, 140), (236, 134, 56), (60, 62, 70),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = ((44, 54, 84), (60, 58, 56), (110, 96, 76), (32, 32, 38))
_SKINS: tuple[Color, ...] = ((240, 206, 178), (206, 160, 122), (150, 104, 74), (104, 70, 50))
_HAIRS: tuple[Color, ...] = ((40, 30, 26), (96, 64, 38), (176, 138, 80), (70, 70, 72))


def place_people(view: StreetView, things: Things) -> None:
    """Places people on the sidewalks, and on the zebra while cars wait."""
    rng = view.rng
    for _ in range(rng.randrange(5, 10)):
        right = rng.choice((-1, 1)) * (view.curb + rng.uniform(0.5, SIDEWALK - 0.5))
        heading = rng.choice((0, 180)) + rng.uniform(-35, 35)
        _try_person(view, things, right, rng.uniform(6, 30), heading)
    if view.crossing is not None and view.signal == "red":
        for _ in range(rng.randrange(1, 4)):
            right = rng.uniform(-view.curb, view.curb)
            depth = view.crossing - rng.uniform(1.0, 3.0)
            heading = rng.choice((90, 270)) + rng.uniform(-15, 15)
            _try_person(view, things, right, depth, heading)


def _try_person(
    view: StreetView, things: Things, right: float, depth: float, heading: float
) -> None:
    look = _look(view.rng, heading)
    foot, scale = view.at(right, 0, depth), view.scale(depth)

    def draw() -> Drawn:
        extent, joints = person(view.canvas, foot, scale, look)

        def label(front: list[Extent]) -> None:
            view.labels.box("person", extent, {"occluded": occluded(extent, front)})
            if look.height * scale >= _POSE_HEIGHT:
                view.labels.pose(
                    {
                        joint: (spot, own or any(inside(spot, other) for other in front))
                        for joint, (spot, own) in joints.items()
                    }
                )

        return Drawn(extent, label)

    things.try_place(depth, view.box(right, depth, 0.45, look.height), draw)


def _look(rng: Random, heading: float) -> Look:
    return Look(
        height=rng.uniform(1.58, 1.9),
        shirt=rng.choice(_SHIRTS),
        trousers=rng.choice(_TROUSERS),
        skin=rng.choice(_SKINS),
        hair=rng.choice(_HAIRS),
        heading=heading,
        stride=rng.choice((0.0, rng.uniform(0.15, 0.34), rng.uniform(0.15, 0.34))),
    )
