"""Annotations put on their image: what most formats write, before each writes it its own way.

Geometry is cut to the image, and what has none there is dropped; both are reported. What a
format cannot hold beyond that it reports itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from services.formats.common.export import ExportImage, ExportInfo
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
    union_area,
)
from services.formats.common.keypoints import (
    LoneKeypoint,
    Numbered,
    group,
    says_yes,
    skeletons,
    visibility,
)
from services.formats.common.keypoints import Pose as JointGroup
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    CLAMPED,
    JOINT_ALONE,
    JOINT_DIFFERS,
    JOINT_DROPPED,
    NO_AREA,
    NO_CLASS,
    NO_LINE,
    OUT_OF_REACH,
    Loss,
)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Pose:
    """Joints in the order of their class's skeleton; None where the object has none."""

    joints: tuple[Joint | None, ...]
    #: The nodes of the skeleton.
    names: tuple[str, ...]

    @property
    def placed(self) -> list[Joint]:
        """The joints that the object has."""
        return [joint for joint in self.joints if joint]


Shape: TypeAlias = Rectangle | TurnedBox | Region | Line | Joint


@dataclass(frozen=True, slots=True)
class Object:
    """What a format writes as one annotation."""

    #: The annotation's number in the dataset; the lowest one of a pose.
    number: int
    #: The annotation's id; that of the lowest number for a pose.
    id: str
    class_id: int
    class_name: str
    shape: Shape | Pose
    attributes: dict[str, Any]
    confidence: float
    #: Whether a part of it lies beyond the image.
    is_cut: bool

    @property
    def attributes_with_score(self) -> dict[str, Any]:
        """The attributes, with a confidence other than 1 as `score` where that is free: the
        name that Datumaro and others give it."""
        if self.confidence == 1.0 or "score" in self.attributes:
            return self.attributes
        return {**self.attributes, "score": self.confidence}


def objects(
    image: ExportImage,
    info: ExportInfo,
    selected: Iterable[Numbered],
    losses: LossReport,
    *,
    cuts_turned_boxes: bool = True,
) -> list[Object]:
    """Every selected object of the image that has a place on it, by number.

    Keypoints of one instance are one object; class ids count from 0. `cuts_turned_boxes`
    says that the format writes the part of a rotated box that is on the image.
    """
    return _Reader(info, losses, cuts_turned_boxes).objects(image, selected)


class _Reader:
    def __init__(self, info: ExportInfo, losses: LossReport, cuts_turned_boxes: bool) -> None:
        self._losses = losses
        self._cuts_turned_boxes = cuts_turned_boxes
        self._ids = {c.name: number for number, c in enumerate(info.selected_classes)}
        # Of all classes, since a joint belongs to the best fit among all of them.
        self._templates = skeletons(info.classes)

    def objects(self, image: ExportImage, selected: Iterable[Numbered]) -> list[Object]:
        found: list[Object] = []
        keypoints: dict[int, _Keypoint] = {}
        for number, annotation in selected:
            placed = place(
                annotation, image, self._losses, cuts_turned_boxes=self._cuts_turned_boxes
            )
            if placed is None:
                continue
            shape, is_cut = placed
            if isinstance(shape, Joint):
                keypoints[number] = annotation, shape, is_cut
            elif annotation["name"] in self._ids:
                found.append(self._object(number, annotation, shape, is_cut))
            else:
                self._losses.add(NO_CLASS, annotation["id"])
        if keypoints:
            found += self._keypoint_objects(keypoints)
            found.sort(key=lambda item: item.number)
        return found

    def _keypoint_objects(self, keypoints: Mapping[int, "_Keypoint"]) -> Iterator[Object]:
        poses, lone = group(
            [(number, annotation) for number, (annotation, _, _) in keypoints.items()],
            self._templates,
        )
        for pose in poses:
            if pose.class_name in self._ids:
                yield self._pose(pose, keypoints)
            else:
                lone += [LoneKeypoint(number, annotation) for number, annotation in pose.placed]
        for keypoint in lone:
            annotation, joint, is_cut = keypoints[keypoint.number]
            if annotation["name"] not in self._ids:
                report_dropped_keypoint(keypoint, self._losses)
                continue
            if keypoint.reason:
                self._losses.add(JOINT_ALONE, annotation["id"], reason=keypoint.reason)
            yield self._object(keypoint.number, annotation, joint, is_cut)

    def _object(
        self, number: int, annotation: Mapping[str, Any], shape: Shape, is_cut: bool
    ) -> Object:
        name = annotation["name"]
        attributes = attributes_of(annotation)
        if isinstance(shape, Joint):
            attributes, _ = take_flag(attributes, "occluded")
        confidence = annotation.get("confidence", 1.0)
        return Object(
            number, annotation["id"], self._ids[name], name, shape, attributes, confidence, is_cut
        )

    def _pose(self, pose: JointGroup, keypoints: Mapping[int, "_Keypoint"]) -> Object:
        attributes: dict[str, Any] = {}
        for _, annotation in pose.placed:
            own, _ = take_flag(attributes_of(annotation), "occluded")
            if any(attributes.get(name, value) != value for name, value in own.items()):
                self._losses.add(JOINT_DIFFERS, annotation["id"])
            attributes = {**own, **attributes}
        number, first = min(pose.placed, key=lambda joint: joint[0])
        joints = tuple(keypoints[joint[0]][1] if joint else None for joint in pose.joints)
        return Object(
            number,
            first["id"],
            self._ids[pose.class_name],
            pose.class_name,
            Pose(joints, self._templates[pose.class_name]),
            attributes,
            min(annotation.get("confidence", 1.0) for _, annotation in pose.placed),
            any(keypoints[number][2] for number, _ in pose.placed),
        )


def place(
    annotation: Mapping[str, Any],
    image: ExportImage,
    losses: LossReport,
    *,
    cuts_turned_boxes: bool = True,
) -> tuple[Shape, bool] | None:
    """The annotation's shape on the image, and whether it was cut; None where it has none."""
    match annotation["type"]:
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
    return found


def report_dropped_keypoint(keypoint: LoneKeypoint, losses: LossReport) -> None:
    """Reports a keypoint that is in no pose, and of no class of the archive."""
    if keypoint.reason:
        losses.add(JOINT_DROPPED, keypoint.annotation["id"], reason=keypoint.reason)
    else:
        losses.add(NO_CLASS, keypoint.annotation["id"])


def attributes_of(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes by name; those of the old list form by their position where they have none."""
    attributes = annotation.get("attributes") or {}
    if isinstance(attributes, dict):
        return attributes
    named = {}
    for position, item in enumerate(attributes):
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            named[item["name"]] = item.get("value", True)
        elif isinstance(item, str):
            named[item] = True
        else:
            named[str(position)] = item
    return named


def attribute_text(value: Any) -> str:
    """An attribute's value as text: words as they are, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def take_flag(attributes: Mapping[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    """The attributes without the one of this name, and whether that says yes."""
    if name not in attributes:
        return dict(attributes), False
    rest = {key: value for key, value in attributes.items() if key != name}
    return rest, says_yes(attributes[name])


#: An annotation, its joint, and whether that was moved to the image's edge.
_Keypoint: TypeAlias = tuple[dict[str, Any], Joint, bool]
#: A shape and whether it was cut, or why there is none.
_Found: TypeAlias = tuple[Shape, bool] | Loss


def _box(annotation: Mapping[str, Any], image: ExportImage) -> _Found:
    box = annotation["bounding_box"]
    whole = box["x"], box["y"], box["w"], box["h"]
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
    x, y, w, h = whole
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
