"""What kind of shape an annotation is, and how far it reaches: what formats may lose by it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: Pixels that a shape may reach over the edge without anybody moving it.
_TOLERANCE = 1e-6


class Shape(StrEnum):
    """The shapes that formats treat differently."""

    bbox = "bbox"
    oriented_box = "oriented_box"
    polygon = "polygon"
    #: A polygon of several rings: parts, or holes.
    polygon_rings = "polygon_rings"
    polyline = "polyline"
    keypoint = "keypoint"


@dataclass(frozen=True, slots=True)
class ShapeExtent:
    """A shape of a class and the box around it, in pixels."""

    class_name: str
    shape: Shape
    left: float
    top: float
    right: float
    bottom: float

    def reaches_over(self, width: int, height: int) -> bool:
        """Whether it is not wholly on an image of this size."""
        return (
            self.left < -_TOLERANCE
            or self.top < -_TOLERANCE
            or self.right > width + _TOLERANCE
            or self.bottom > height + _TOLERANCE
        )


def extent_of(annotation: dict[str, Any]) -> ShapeExtent:
    """The shape of an annotation that was checked."""
    kind = annotation["type"]
    if kind == "bbox":
        box = annotation["bounding_box"]
        oriented = annotation.get("oriented_box")
        shape = Shape.oriented_box if oriented and oriented["angle"] else Shape.bbox
        points = [(box["x"], box["y"]), (box["x"] + box["w"], box["y"] + box["h"])]
    elif kind == "polygon":
        paths = annotation["polygon"]["paths"]
        shape = Shape.polygon if len(paths) == 1 else Shape.polygon_rings
        points = [(point["x"], point["y"]) for path in paths for point in path]
    elif kind == "polyline":
        shape = Shape.polyline
        points = [(point["x"], point["y"]) for point in annotation["polyline"]["path"]]
    else:
        shape = Shape.keypoint
        points = [(annotation["keypoint"]["x"], annotation["keypoint"]["y"])]
    across = [x for x, _ in points]
    down = [y for _, y in points]
    return ShapeExtent(annotation["name"], shape, min(across), min(down), max(across), max(down))
