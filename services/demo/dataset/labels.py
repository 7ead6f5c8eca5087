"""The annotations of one picture, in the Pictograph wire form, collected while it is drawn."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from uuid import UUID

from services.demo.dataset.canvas import Extent, Point


def box_corners(center: Point, length: float, width: float, angle: float) -> list[Point]:
    """The corners of a rotated box: top left, top right, bottom right, bottom left of its
    own frame; `angle` in degrees, clockwise on the screen.
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    half_x, half_y = length / 2, width / 2
    return [
        (center[0] + x * cos - y * sin, center[1] + x * sin + y * cos)
        for x, y in (
            (-half_x, -half_y),
            (half_x, -half_y),
            (half_x, half_y),
            (-half_x, half_y),
        )
    ]


class Labels:
    """Takes shapes in pixels; ids come from `rng`, so the same picture has the same ids."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._instances = 0
        self.annotations: list[dict[str, Any]] = []

    def box(self, name: str, extent: Extent, attributes: Mapping[str, object]) -> None:
        """A true box."""
        box = _bounding_box(((extent.left, extent.top), (extent.right, extent.bottom)))
        self._add(name, "bbox", {"bounding_box": box}, attributes)

    def rotated_box(
        self,
        name: str,
        center: Point,
        length: float,
        width: float,
        angle: float,
        attributes: Mapping[str, object],
    ) -> None:
        """A rotated box with its axis-aligned enclosure."""
        corners = box_corners(center, length, width, angle)
        left, right = min(x for x, _ in corners), max(x for x, _ in corners)
        top, bottom = min(y for _, y in corners), max(y for _, y in corners)
        geometry = {
            "bounding_box": {"x": left, "y": top, "w": right - left, "h": bottom - top},
            "oriented_box": {
                "cx": center[0],
                "cy": center[1],
                "w": length,
                "h": width,
                "angle": angle,
            },
        }
        self._add(name, "bbox", geometry, attributes)

    def polygon(
        self,
        name: str,
        rings: Sequence[Sequence[Point]],
        attributes: Mapping[str, object],
    ) -> None:
        """An outer ring and its holes."""
        paths = [[_point(point) for point in ring] for ring in rings]
        geometry = {
            "bounding_box": _bounding_box(rings[0]),
            "polygon": {"paths": paths},
        }
        self._add(name, "polygon", geometry, attributes)

    def polyline(self, name: str, path: Sequence[Point], attributes: Mapping[str, object]) -> None:
        """An open path."""
        geometry = {
            "bounding_box": _bounding_box(path),
            "polyline": {"path": [_point(point) for point in path]},
        }
        self._add(name, "polyline", geometry, attributes)

    def pose(self, joints: Mapping[str, tuple[Point, bool]]) -> None:
        """One object of a keypoint class: its joints by name, each with whether it is hidden."""
        self._instances += 1
        for name, (point, hidden) in joints.items():
            attributes = {"occluded": "true"} if hidden else {}
            self._add(name, "keypoint", {"keypoint": _point(point)}, attributes)
            self.annotations[-1]["instance_id"] = self._instances

    def _add(
        self,
        name: str,
        kind: str,
        geometry: Mapping[str, Any],
        attributes: Mapping[str, object],
    ) -> None:
        annotation_id = UUID(int=self._rng.getrandbits(128), version=4)
        self.annotations.append(
            {
                "id": str(annotation_id),
                "name": name,
                "type": kind,
                **geometry,
                "confidence": 1.0,
                "attributes": dict(attributes),
            }
        )


def _snap(value: float) -> float:
    """A quarter of a pixel is finer than the drawing, and exact in binary."""
    return round(value * 4) / 4


def _point(point: Point) -> dict[str, float]:
    return {"x": _snap(point[0]), "y": _snap(point[1])}


def _bounding_box(points: Sequence[Point]) -> dict[str, float]:
    left, right = (_snap(edge([x for x, _ in points])) for edge in (min, max))
    top, bottom = (_snap(edge([y for _, y in points])) for edge in (min, max))
    return {"x": left, "y": top, "w": right - left, "h": bottom - top}
