"""What a figure says about itself is what can be seen of it."""

import io
from collections.abc import Callable
from random import Random

import pytest
from PIL import Image, ImageChops

from services.demo.dataset.canvas import Canvas, Extent
from services.demo.dataset.classes import CAR_COLORS
from services.demo.dataset.figures.cars import car_across, car_along, car_from_above
from services.demo.dataset.figures.people import Look, person
from services.demo.dataset.labels import box_corners

_SIZE = (400, 400)
#: Bright light, on ground of the shadows' colour: shadows vanish, everything else stands out.
_GROUND = (46, 46, 50)
_FOOT = (200.0, 330.0)
_SCALE = 80.0


def _seen(draw: Callable[[Canvas], object]) -> tuple[int, int, int, int]:
    """The box of the pixels that a figure changes."""
    canvas = Canvas(*_SIZE, (4.0, 4.0, 4.0))
    canvas.box(0, 0, *_SIZE, _GROUND)
    empty = Image.open(io.BytesIO(canvas.jpeg(Random(0), noise=0)))
    draw(canvas)
    picture = Image.open(io.BytesIO(canvas.jpeg(Random(0), noise=0)))
    changed = ImageChops.difference(picture, empty).convert("L").point([0] * 24 + [255] * 232)
    box = changed.getbbox()
    assert box is not None
    return box


def _close(extent: Extent, seen: tuple[int, int, int, int]) -> bool:
    edges = (extent.left, extent.top, extent.right, extent.bottom)
    return all(abs(edge - pixel) <= 2 for edge, pixel in zip(edges, seen, strict=True))


@pytest.mark.parametrize("paint", CAR_COLORS)
@pytest.mark.parametrize("coming", [True, False])
def test_the_box_of_a_car_along_the_street(paint: str, coming: bool) -> None:
    extents: list[Extent] = []
    seen = _seen(lambda c: extents.append(car_along(c, _FOOT, _SCALE, paint, coming, lights=False)))
    assert _close(extents[0], seen)


@pytest.mark.parametrize("heading", [1, -1])
def test_the_box_of_a_car_across_the_street(heading: int) -> None:
    extents: list[Extent] = []
    seen = _seen(
        lambda c: extents.append(car_across(c, _FOOT, _SCALE, "blue", heading, lights=False))
    )
    assert _close(extents[0], seen)


@pytest.mark.parametrize("heading", range(0, 360, 30))
def test_the_box_and_the_joints_of_a_person(heading: int) -> None:
    look = Look(1.8, (206, 62, 56), (60, 90, 120), (240, 206, 178), (96, 64, 38), heading, 0.3)
    found = []
    seen = _seen(lambda c: found.append(person(c, _FOOT, 140, look)))
    extent, joints = found[0]
    assert _close(extent, seen)
    for (x, y), _ in joints.values():
        assert seen[0] <= x <= seen[2]
        assert seen[1] <= y <= seen[3]


def test_left_and_right_change_sides_with_the_heading() -> None:
    canvas = Canvas(*_SIZE, (1.0, 1.0, 1.0))

    def left_minus_right(heading: float) -> float:
        look = Look(1.8, (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), heading, 0.0)
        _, joints = person(canvas, _FOOT, 140, look)
        return joints["left_shoulder"][0][0] - joints["right_shoulder"][0][0]

    # Who faces us has the left hand at our right.
    assert left_minus_right(0) > 0 > left_minus_right(180)


def test_a_hidden_nose_and_a_visible_one() -> None:
    canvas = Canvas(*_SIZE, (1.0, 1.0, 1.0))
    for heading, hidden in ((0, False), (90, False), (180, True)):
        look = Look(1.8, (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), heading, 0.0)
        assert person(canvas, _FOOT, 140, look)[1]["nose"][1] is hidden


@pytest.mark.parametrize("angle", [0.0, 37.5, 90.0, 201.0, 315.5])
def test_a_car_from_above_fills_its_rotated_box(angle: float) -> None:
    """Its own pixels, turned back by the angle, fill length by width."""
    center, length, width = (200.0, 200.0), 180.0, 74.0
    seen = _seen(lambda c: car_from_above(c, center, length, width, angle, "red"))
    corners = box_corners(center, length, width, angle)
    enclosure = (
        min(x for x, _ in corners),
        min(y for _, y in corners),
        max(x for x, _ in corners),
        max(y for _, y in corners),
    )
    # The corners of a car are cut, so that a turned one is a little inside its enclosure.
    slack = 2 if angle % 90 == 0 else 16
    assert all(
        -2 <= inner <= slack
        for inner in (
            seen[0] - enclosure[0],
            seen[1] - enclosure[1],
            enclosure[2] - seen[2],
            enclosure[3] - seen[3],
        )
    )
