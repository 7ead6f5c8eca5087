"""Annotations put on their image: what most formats write, before each writes it its own way.

Geometry is cut to the image, and what has none there is dropped; both are reported. What a
format cannot hold beyond that it reports itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.formats.common.attributes import is_crowd
from services.formats.common.export import ExportImage
from services.formats.common.geometry import (
    TOLERANCE,
    Box,
    OrientedBox,
    Point,
    Ring,
    bounds,
    clamp_box,
    clamp_point,
    clip_line,
    clip_ring,
    in_reason,
    overshoot,
    ring_area,
    ring_of,
)
from services.formats.common.keypoints import visibility
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    CLAMPED,
    CROWD_AS_OBJECT,
    NO_AREA,
    NO_LINE,
    OUT_OF_REACH,
    Loss,
)
from services.formats.common.masks import union_area


# Not frozen, as what is made for each annotation: it would take thrice the time.
@dataclass(slots=True)
class Rectangle:
    """A box along the axes."""

    box: Box

    @property
    def bounds(self) -> Box:
        return self.box


@dataclass(frozen=True, slots=True)
class TurnedBox:
    """A rotated box, a part of which is on the image."""

    #: The whole box.
    oriented: OrientedBox
    #: Its outline, cut to the image.
    ring: Ring

    @property
    def bounds(self) -> Box:
        return bounds([self.ring])


@dataclass(frozen=True, slots=True)
class Region:
    """A polygon: rings with an extent, filled even-odd."""

    rings: list[Ring]

    @property
    def bounds(self) -> Box:
        return bounds(self.rings)


@dataclass(frozen=True, slots=True)
class Line:
    """An open line."""

    path: list[Point]

    @property
    def bounds(self) -> Box:
        return bounds([self.path])


@dataclass(frozen=True, slots=True)
class Joint:
    """A point of an object. `visibility` is COCO's: 1 occluded, 2 visible."""

    name: str
    point: Point
    visibility: int

    @property
    def bounds(self) -> Box:
        return (*self.point, 0.0, 0.0)


Shape: TypeAlias = Rectangle | TurnedBox | Region | Line | Joint


def place(
    annotation: Mapping[str, Any],
    image: ExportImage,
    losses: LossReport,
    *,
    cuts_turned_boxes: bool = True,
) -> tuple[Shape, bool] | None:
    """The annotation's shape on the image, and whether it was cut; None where it has none."""
    kind = annotation["type"]
    match kind:
        case "bbox":
            found = _box(annotation, image)
        case "polygon":
            found = _region(annotation, image)
        case "polyline":
            found = _line(annotation, image)
        case _:
            found = _joint(annotation, image)
    if isinstance(found, Loss):
        losses.add(found, annotation["id"])
        return None
    shape, is_cut = found
    if is_cut and (cuts_turned_boxes or not isinstance(shape, TurnedBox)):
        losses.add(CLAMPED, annotation["id"])
    if kind != "keypoint" and is_crowd(annotation):
        losses.add(CROWD_AS_OBJECT, annotation["id"])
    return found


#: A shape and whether it was cut, or why there is none.
_Found: TypeAlias = tuple[Shape, bool] | Loss


def _box(annotation: Mapping[str, Any], image: ExportImage) -> _Found:
    box = annotation["bounding_box"]
    x, y, w, h = whole = box["x"], box["y"], box["w"], box["h"]
    oriented = annotation.get("oriented_box")
    if oriented and oriented.get("angle"):
        turned = OrientedBox(**oriented)
        ring = turned.corners()
        if not in_reason(ring):
            return OUT_OF_REACH
        is_cut = overshoot(bounds([ring]), image.width, image.height) > TOLERANCE
        ring = clip_ring(ring, image.width, image.height)
        if len(ring) < 3 or ring_area(ring) <= 0:
            return NO_AREA
        return TurnedBox(turned, ring), is_cut
    # The plain case first: most boxes lie on their image.
    if x >= 0 and y >= 0 and x + w <= image.width and y + h <= image.height:
        is_cut = False
    elif not in_reason([whole]):
        return OUT_OF_REACH
    else:
        is_cut = overshoot(whole, image.width, image.height) > TOLERANCE
        x, y, w, h = clamp_box(whole, image.width, image.height)
    # The product of two tiny sides may be 0; so may a tiny side beside a large coordinate.
    if w <= 0 or h <= 0 or w * h <= 0 or x + w <= x or y + h <= y:
        return NO_AREA
    return Rectangle((x, y, w, h)), is_cut


def _region(annotation: Mapping[str, Any], image: ExportImage) -> _Found:
    rings = [ring_of(path) for path in annotation["polygon"]["paths"]]
    if not all(in_reason(ring) for ring in rings):
        return OUT_OF_REACH
    over = overshoot(bounds(rings), image.width, image.height)
    if over:
        rings = [clip_ring(ring, image.width, image.height) for ring in rings]
    rings = [ring for ring in rings if len(ring) > 2 and min(bounds([ring])[2:]) > 0]
    # A ring that crosses itself may have as much area to its left as to its right.
    if not rings or not (
        sum(map(ring_area, rings)) or union_area(rings, image.width, image.height)
    ):
        return NO_AREA
    return Region(rings), over > TOLERANCE


def _line(annotation: Mapping[str, Any], image: ExportImage) -> _Found:
    path = ring_of(annotation["polyline"]["path"])
    if not in_reason(path):
        return OUT_OF_REACH
    over = overshoot(bounds([path]), image.width, image.height)
    if over:
        path = clip_line(path, image.width, image.height)
    if len(path) < 2:
        return NO_LINE
    return Line(path), over > TOLERANCE


def _joint(annotation: Mapping[str, Any], image: ExportImage) -> _Found:
    point = annotation["keypoint"]["x"], annotation["keypoint"]["y"]
    if not in_reason([point]):
        return OUT_OF_REACH
    joint = Joint(
        annotation["name"],
        clamp_point(point, image.width, image.height),
        visibility(annotation),
    )
    return joint, overshoot((*point, 0.0, 0.0), image.width, image.height) > TOLERANCE
