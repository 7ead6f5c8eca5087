"""Rows of COCO documents for keypoints: poses, and keypoints that are in none."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from services.formats.common.attributes import attributes_of, take_flag
from services.formats.common.coco_losses import KEYPOINT_AS_BOX
from services.formats.common.coco_plan import CocoPlan
from services.formats.common.export import ExportImage
from services.formats.common.geometry import TOLERANCE, Point, clamp_point, in_reason, overshoot
from services.formats.common.keypoints import (
    LoneKeypoint,
    Numbered,
    Pose,
    group,
    trainable_box,
    visibility,
)
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import CLAMPED, JOINT_ALONE, JOINT_DIFFERS, OUT_OF_REACH
from services.formats.common.objects import report_dropped_keypoint
from services.formats.common.rows import compact

#: An annotation's row, and its id before it.
Row: TypeAlias = tuple[int, bytes]


def keypoint_rows(
    image: ExportImage, keypoints: list[Numbered], plan: CocoPlan, losses: LossReport
) -> tuple[list[Row], list[Row]]:
    """Rows of the poses, and of the keypoints that are in none."""
    places: dict[int, Point] = {}
    kept: list[Numbered] = []
    for number, annotation in keypoints:
        point = annotation["keypoint"]["x"], annotation["keypoint"]["y"]
        if not in_reason([point]):
            losses.add(OUT_OF_REACH, annotation["id"])
            continue
        places[number] = clamp_point(point, image.width, image.height)
        if overshoot((*point, 0.0, 0.0), image.width, image.height) > TOLERANCE:
            losses.add(CLAMPED, annotation["id"])
        kept.append((number, annotation))
    groups, lone = group(kept, plan.templates)
    pose_rows = []
    for pose in groups:
        if pose.class_name in plan.ids:
            pose_rows.append(_pose_row(image, pose, places, plan, losses))
        else:
            lone += [LoneKeypoint(number, annotation) for number, annotation in pose.placed]
    lone_rows = [_lone_row(image, keypoint, places, plan, losses) for keypoint in lone]
    return (
        [(row["id"], compact(row)) for row in pose_rows],
        [(row["id"], compact(row)) for row in lone_rows if row],
    )


def _pose_row(
    image: ExportImage,
    pose: Pose,
    places: Mapping[int, Point],
    plan: CocoPlan,
    losses: LossReport,
) -> dict[str, Any]:
    triplets: list[float] = []
    attributes: dict[str, Any] = {}
    for joint in pose.joints:
        if joint is None:
            triplets += (0, 0, 0)
            continue
        number, annotation = joint
        triplets += (*places[number], visibility(annotation))
        own = _keypoint_attributes(annotation)
        if any(attributes.get(name, value) != value for name, value in own.items()):
            losses.add(JOINT_DIFFERS, annotation["id"])
        attributes = {**own, **attributes}
    placed = pose.placed
    return _object_row(image, plan.ids[pose.class_name], placed, places, attributes) | {
        "keypoints": triplets,
        "num_keypoints": len(placed),
    }


def _lone_row(
    image: ExportImage,
    keypoint: LoneKeypoint,
    places: Mapping[int, Point],
    plan: CocoPlan,
    losses: LossReport,
) -> dict[str, Any] | None:
    number, annotation = keypoint.number, keypoint.annotation
    name, item = annotation["name"], annotation["id"]
    category_id = plan.ids.get(name)
    if category_id is None:
        report_dropped_keypoint(keypoint, losses)
        return None
    if keypoint.reason:
        losses.add(JOINT_ALONE, item, reason=keypoint.reason)
    row = _object_row(
        image, category_id, [(number, annotation)], places, _keypoint_attributes(annotation)
    )
    if name in plan.templates:
        # Triplets of this category follow its skeleton, which has no place for the point.
        losses.add(KEYPOINT_AS_BOX, item)
        return row
    triplet = [*places[number], visibility(annotation)]
    return row | {"keypoints": triplet, "num_keypoints": 1}


def _keypoint_attributes(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """Without `occluded`, which the joint's visibility says."""
    return {name: v for name, v in attributes_of(annotation).items() if name != "occluded"}


def _object_row(
    image: ExportImage,
    category_id: int,
    placed: Sequence[Numbered],
    places: Mapping[int, Point],
    attributes: dict[str, Any],
) -> dict[str, Any]:
    attributes, crowd = take_flag(attributes, "iscrowd")
    box = trainable_box([places[number] for number, _ in placed], image.width, image.height)
    row: dict[str, Any] = {
        "id": min(number for number, _ in placed),
        "image_id": image.number,
        "category_id": category_id,
        "bbox": box,
        "area": box[2] * box[3],
        "segmentation": [],
        "iscrowd": int(crowd),
        "attributes": attributes,
    }
    confidence = min(annotation.get("confidence", 1.0) for _, annotation in placed)
    if confidence != 1.0:
        row["score"] = confidence
    return row
