"""What stands and moves on a street: nearer things hide farther ones."""

from collections.abc import Callable
from dataclasses import dataclass

from services.demo.dataset.canvas import Canvas, Extent, Point
from services.demo.dataset.street.view import Box


@dataclass(frozen=True, slots=True)
class Drawn:
    """A thing with a label, once it is drawn."""

    #: What can be seen of it where nothing hides it.
    extent: Extent
    #: Labels it; takes the extents of what is nearer.
    label: Callable[[list[Extent]], None]


#: Draws a thing; None: it has no label.
Draw = Callable[[], Drawn | None]


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something that has its place, before it is drawn."""

    depth: float
    box: Box
    draw: Draw


class Things:
    """The things of one picture. Place them in any order, then paint them."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._things: list[_Thing] = []

    def try_place(self, depth: float, box: Box, draw: Draw, hides: bool = True) -> None:
        """Takes a thing if it is wholly in the picture, and neither it nor another would
        be mostly hidden.
        """
        left, top, right, bottom = box
        if (
            left < 2
            or top < 2
            or right > self._canvas.width - 2
            or bottom > self._canvas.height - 2
        ):
            return
        if hides:
            for other in self._things:
                behind, front = (other.box, box) if other.depth > depth else (box, other.box)
                if _covered(behind, front) > 0.45:
                    return
        self._things.append(_Thing(depth, box, draw))

    def paint(self) -> None:
        """Draws the things from far to near, then labels them in the same order."""
        far_to_near = sorted(self._things, key=lambda thing: -thing.depth)
        drawn = [one for thing in far_to_near if (one := thing.draw())]
        for index, one in enumerate(drawn):
            one.label([nearer.extent for nearer in drawn[index + 1 :]])


def occluded(extent: Extent, front: list[Extent]) -> str:
    """The value of the attribute `occluded`: whether nearer things cover a tenth or more."""
    box = _box(extent)
    return "true" if sum(_covered(box, _box(cover)) for cover in front) >= 0.1 else "false"


def inside(point: Point, extent: Extent) -> bool:
    """Whether a thing of this extent may hide the point."""
    return extent.left < point[0] < extent.right and extent.top < point[1] < extent.bottom


def _box(extent: Extent) -> Box:
    return extent.left, extent.top, extent.right, extent.bottom


def _covered(behind: Box, front: Box) -> float:
    """The share of a box that another one covers."""
    across = min(behind[2], front[2]) - max(behind[0], front[0])
    down = min(behind[3], front[3]) - max(behind[1], front[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / ((behind[2] - behind[0]) * (behind[3] - behind[1]))
