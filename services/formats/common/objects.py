"""The objects of an image: annotations put on it, with the joints of an instance as one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.formats.common.attributes import attributes_of, take_flag
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.keypoints import LoneKeypoint, Numbered, group
from services.formats.common.keypoints import Pose as JointGroup
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    JOINT_ALONE,
    JOINT_DIFFERS,
    JOINT_DROPPED,
    NO_ATTRIBUTES,
    NO_CLASS,
    NO_SCORES,
)
from services.formats.common.shapes import Joint, Shape, place


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


# Not frozen: one is made for each annotation, and that would take thrice the time.
@dataclass(slots=True)
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
        self._ids = info.class_ids
        self._templates = info.templates

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


def report_unheld(item: Object, losses: LossReport, *held: str) -> None:
    """Reports what a format of shapes alone does not hold of an object that it writes: a
    confidence, and attributes but for those `held`."""
    # A crowd is reported as such.
    if item.attributes and item.attributes.keys() - {*held, "iscrowd"}:
        losses.add(NO_ATTRIBUTES, item.id)
    if item.confidence != 1.0:
        losses.add(NO_SCORES, item.id)


def report_dropped_keypoint(keypoint: LoneKeypoint, losses: LossReport) -> None:
    """Reports a keypoint that is in no pose, and of no class of the archive."""
    if keypoint.reason:
        losses.add(JOINT_DROPPED, keypoint.annotation["id"], reason=keypoint.reason)
    else:
        losses.add(NO_CLASS, keypoint.annotation["id"])


#: An annotation, its joint, and whether that was moved to the image's edge.
_Keypoint: TypeAlias = tuple[dict[str, Any], Joint, bool]
