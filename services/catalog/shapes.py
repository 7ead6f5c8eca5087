"""What kind of shape an annotation is, and how far it reaches: what formats may lose by it."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import cos, radians, sin
from typing import Any

#: Pixels that a shape may reach over the edge without anybody moving it.
_TOLERANCE = 1e-6
#: Pixels from the image beyond which no format follows a coordinate.
_FARTHEST = 1e9


class Shape(StrEnum):
    """The shapes that formats treat differently."""

    bbox = "bbox"
    oriented_box = "oriented_box"
    polygon = "polygon"
    #: A polygon of several rings: parts, or holes.
    polygon_rings = "polygon_rings"
    polyline = "polyline"
    keypoint = "keypoint"
    #: A keypoint that names the instance it belongs to.
    joint = "joint"


_SHAPES = tuple(Shape)
#: The shapes that are points.
POINTS = frozenset((Shape.keypoint, Shape.joint))


@dataclass(frozen=True, slots=True)
class ShapeExtent:
    """A shape of a class and how far it reaches."""

    class_name: str
    shape: Shape
    #: Left, top, right and bottom in pixels; of a rotated box first those it came with, then
    #: those of its corners.
    boxes: tuple[tuple[float, float, float, float], ...]
    #: Rings of a polygon; of others one.
    parts: int = 1

    def reaches_over(self, width: int, height: int) -> bool:
        """Whether it is not wholly on an image of this size."""
        return any(
            left < -_TOLERANCE
            or top < -_TOLERANCE
            or right > width + _TOLERANCE
            or bottom > height + _TOLERANCE
            or (self.shape not in POINTS and self._is_off(left, top, right, bottom, width, height))
            for left, top, right, bottom in self.boxes
        )

    def is_off(self, width: int, height: int) -> bool:
        """Whether nothing of it is left on an image of this size; points move to its edge."""
        return all(self._is_off(*box, width, height) for box in self.boxes)

    def _is_off(
        self, left: float, top: float, right: float, bottom: float, width: int, height: int
    ) -> bool:
        if max(-left, -top, left, top, -right, -bottom, right, bottom) > _FARTHEST:
            return True
        if self.shape in POINTS:
            return False
        across = min(right, width) - max(left, 0)
        down = min(bottom, height) - max(top, 0)
        if self.shape is Shape.polyline:
            return across < 0 or down < 0
        return across <= 0 or down <= 0


class Extents:
    """The shapes of many annotations, in order: numbers in a row, a tenth of what as many
    `ShapeExtent` take."""

    __slots__ = ("_edges", "_kinds", "_names")

    def __init__(self, annotations: Iterable[dict[str, Any]] = ()) -> None:
        self._names: dict[str, int] = {}
        #: Of each annotation: the number of its class name and of its shape, boxes, parts.
        self._kinds = array("i")
        self._edges = array("d")
        for annotation in annotations:
            extent = extent_of(annotation)
            name = self._names.setdefault(extent.class_name, len(self._names))
            shape = _SHAPES.index(extent.shape)
            self._kinds.extend((name, shape, len(extent.boxes), extent.parts))
            for box in extent.boxes:
                self._edges.extend(box)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extents) and tuple(self) == tuple(other)

    def __len__(self) -> int:
        return len(self._kinds) // 4

    def __iter__(self) -> Iterator[ShapeExtent]:
        names, kinds, edges = list(self._names), self._kinds, self._edges
        start = 0
        for at in range(0, len(kinds), 4):
            name, shape, boxes, parts = kinds[at : at + 4]
            end = start + 4 * boxes
            found = edges[start:end]
            yield ShapeExtent(
                names[name],
                _SHAPES[shape],
                tuple(zip(*(found[n::4] for n in range(4)), strict=True)),
                parts,
            )
            start = end


def extent_of(annotation: dict[str, Any]) -> ShapeExtent:
    """The shape of an annotation that was checked."""
    kind = annotation["type"]
    name = annotation["name"]
    if kind == "bbox":
        box = annotation["bounding_box"]
        edges = box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]
        oriented = annotation.get("oriented_box")
        if oriented and oriented["angle"]:
            return ShapeExtent(name, Shape.oriented_box, (edges, _turned_edges(oriented)))
        return ShapeExtent(name, Shape.bbox, (edges,))
    if kind == "polygon":
        paths = annotation["polygon"]["paths"]
        shape = Shape.polygon if len(paths) == 1 else Shape.polygon_rings
        points = [point for path in paths for point in path]
        return ShapeExtent(name, shape, (_edges(points),), len(paths))
    if kind == "polyline":
        return ShapeExtent(name, Shape.polyline, (_edges(annotation["polyline"]["path"]),))
    shape = Shape.keypoint if annotation.get("instance_id") is None else Shape.joint
    return ShapeExtent(name, shape, (_edges([annotation["keypoint"]]),))


def _edges(points: list[dict[str, float]]) -> tuple[float, float, float, float]:
    across = [point["x"] for point in points]
    down = [point["y"] for point in points]
    return min(across), min(down), max(across), max(down)


def _turned_edges(box: dict[str, float]) -> tuple[float, float, float, float]:
    angle = radians(box["angle"])
    across = (abs(box["w"] * cos(angle)) + abs(box["h"] * sin(angle))) / 2
    down = (abs(box["w"] * sin(angle)) + abs(box["h"] * cos(angle))) / 2
    cx, cy = box["cx"], box["cy"]
    return cx - across, cy - down, cx + across, cy + down
