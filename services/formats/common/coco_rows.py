"""Rows of COCO documents: images, and the annotations and categories of a selection.

Fields: https://cocodataset.org/#format-data and what pycocotools, Datumaro and supervision
read.

What has no plain COCO form:
- a polygon with holes, or with rings that overlap, becomes a mask (RLE, iscrowd 0), since
  COCO reads a list of rings as their union;
- a rotated box keeps its enclosing box and gets its corners as the segmentation and the
  angle as the attribute `rotation`, as CVAT does;
- a polyline is dropped;
- joints of one object become one annotation, with the number of its first joint as id.
`score` is there where a confidence is not 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from services.catalog.model import DatasetClass
from services.formats.common.coco_losses import KEYPOINT_AS_BOX, NO_POLYLINES
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import (
    TOLERANCE,
    Box,
    OrientedBox,
    Point,
    Ring,
    as_rle,
    bounds,
    clamp_box,
    clamp_point,
    clip_ring,
    even_odd_mask,
    flat,
    hole_flags,
    in_reason,
    may_overlap,
    overshoot,
    ring_area,
    ring_of,
    union_area,
)
from services.formats.common.keypoints import (
    LoneKeypoint,
    Numbered,
    Pose,
    group,
    skeletons,
    trainable_box,
    visibility,
)
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    CLAMPED,
    HOLE_FILLED,
    HOLES_MASKED,
    JOINT_ALONE,
    JOINT_DIFFERS,
    NO_AREA,
    NO_CLASS,
    OUT_OF_REACH,
    TURNED_AS_POLYGON,
)
from services.formats.common.shapes import attributes_of, report_dropped_keypoint

#: Box, area and segmentation of an annotation.
_Shape: TypeAlias = tuple[Box, float, Any]
#: An annotation's row, and its id before it.
_Row: TypeAlias = tuple[int, bytes]


class CocoPlan:
    """What follows from the export alone, kept from image to image."""

    def __init__(self, info: ExportInfo) -> None:
        self.info = info
        #: Of all classes, since a joint belongs to the best fit among all of them.
        self.templates = skeletons(info.classes)
        self.ids = {c.name: number for number, c in enumerate(info.selected_classes, 1)}
        self.categories = [
            _category(number, c) for number, c in enumerate(info.selected_classes, 1)
        ]
        self.pose_ids = {self.ids[name] for name in self.templates if name in self.ids}
        self.pose_categories = [c for c in self.categories if c["id"] in self.pose_ids]


def _category(number: int, c: DatasetClass) -> dict[str, Any]:
    category: dict[str, Any] = {"id": number, "name": c.name, "supercategory": ""}
    if c.skeleton and c.skeleton.nodes:
        category["keypoints"] = [node.name for node in c.skeleton.nodes]
        # COCO counts joints from 1.
        category["skeleton"] = [[a + 1, b + 1] for a, b in c.skeleton.edges]
    elif c.type == "keypoint":
        category["keypoints"] = [c.name]
        category["skeleton"] = []
    return category


@dataclass(frozen=True, slots=True)
class CocoRows:
    """What an image contributes: its annotations by id, and those of them that are poses."""

    annotations: list[bytes]
    poses: list[bytes]


def image_row(image: ExportImage, file_name: str) -> bytes:
    """The row of an image."""
    return orjson.dumps(
        {
            "id": image.number,
            "file_name": file_name,
            "width": image.width,
            "height": image.height,
        }
    )


def annotation_rows(
    image: ExportImage, selected: list[Numbered], plan: CocoPlan, losses: LossReport
) -> CocoRows:
    """A row for each object on the image."""
    rows, keypoints = _shape_rows(image, selected, plan, losses)
    poses: list[_Row] = []
    if keypoints:
        poses, lone = _keypoint_rows(image, keypoints, plan, losses)
        rows = sorted(rows + poses + lone)
    return CocoRows([text for _, text in rows], [text for _, text in sorted(poses)])


def _shape_rows(
    image: ExportImage, selected: list[Numbered], plan: CocoPlan, losses: LossReport
) -> tuple[list[_Row], list[Numbered]]:
    """Rows of boxes and polygons; and the keypoints, which are still to be grouped."""
    rows: list[_Row] = []
    keypoints: list[Numbered] = []
    ids, image_id, width, height = plan.ids, image.number, image.width, image.height
    for number, annotation in selected:
        kind = annotation["type"]
        if kind == "keypoint":
            keypoints.append((number, annotation))
            continue
        category_id = ids.get(annotation["name"])
        if category_id is None:
            losses.add(NO_CLASS, annotation["id"])
            continue
        shape: _Shape | None
        if kind == "bbox":
            box = annotation["bounding_box"]
            x, y, w, h = box["x"], box["y"], box["w"], box["h"]
            area = w * h
            if (
                x >= 0
                and y >= 0
                and w > 0
                and area > 0
                and x + w <= width
                and y + h <= height
                and not annotation.get("oriented_box")
            ):
                shape = (x, y, w, h), area, ()
            else:
                shape = _box(annotation, (x, y, w, h), image, losses)
        elif kind == "polygon":
            shape = _polygon(annotation, image, losses)
        else:
            losses.add(NO_POLYLINES, annotation["id"])
            continue
        if shape is None:
            continue
        row: dict[str, Any] = {
            "id": number,
            "image_id": image_id,
            "category_id": category_id,
            "bbox": shape[0],
            "area": shape[1],
            "segmentation": shape[2],
            "iscrowd": 0,
            "attributes": attributes_of(annotation) if annotation.get("attributes") else {},
        }
        if kind == "bbox" and shape[2]:
            rotation = annotation["oriented_box"]["angle"]
            row["attributes"] = {**row["attributes"], "rotation": rotation}
        confidence = annotation.get("confidence", 1.0)
        if confidence != 1.0:
            row["score"] = confidence
        # At once: a row that lives on costs more in garbage collection than in itself.
        rows.append((number, orjson.dumps(row)))
    return rows, keypoints


def _box(
    annotation: Mapping[str, Any], box: Box, image: ExportImage, losses: LossReport
) -> _Shape | None:
    """A box that is rotated, or not wholly on the image."""
    item = annotation["id"]
    oriented = annotation.get("oriented_box")
    ring: Ring = []
    if oriented and oriented.get("angle"):
        ring = OrientedBox(**oriented).corners()
    if not in_reason([box, *ring]):
        losses.add(OUT_OF_REACH, item)
        return None
    width, height = image.width, image.height
    over = overshoot(box, width, height)
    x, y, w, h = clamp_box(box, width, height)
    area: float = w * h
    # The product of two tiny sides may be 0.
    if w <= 0 or area <= 0:
        losses.add(NO_AREA, item)
        return None
    segmentation: list[list[float]] = []
    if ring:
        over = max(over, overshoot(bounds([ring]), width, height))
        ring = clip_ring(ring, width, height)
        if len(ring) < 3 or ring_area(ring) <= 0:
            losses.add(NO_AREA, item)
            return None
        area, segmentation = ring_area(ring), [flat(ring)]
        losses.add(TURNED_AS_POLYGON, item)
    if over > TOLERANCE:
        losses.add(CLAMPED, item)
    return (x, y, w, h), area, segmentation


def _polygon(
    annotation: Mapping[str, Any], image: ExportImage, losses: LossReport
) -> _Shape | None:
    item, width, height = annotation["id"], image.width, image.height
    rings = [ring_of(path) for path in annotation["polygon"]["paths"]]
    whole = bounds(rings)
    if not (
        whole[0] >= 0 <= whole[1] and whole[0] + whole[2] <= width and whole[1] + whole[3] <= height
    ):
        if not all(in_reason(ring) for ring in rings):
            losses.add(OUT_OF_REACH, item)
            return None
        rings = [clip_ring(ring, width, height) for ring in rings]
    rings = [ring for ring in rings if len(ring) > 2 and min(bounds([ring])[2:]) > 0]
    shape = _area_shape(rings, item, width, height, losses)
    if shape is None:
        losses.add(NO_AREA, item)
    elif overshoot(whole, width, height) > TOLERANCE:
        losses.add(CLAMPED, item)
    return shape


def _area_shape(
    rings: list[Ring], item: str, width: int, height: int, losses: LossReport
) -> _Shape | None:
    """A polygon on the image as rings, or as a mask where a list of rings says other."""
    holes = [False]
    if len(rings) > 1 and may_overlap(rings):
        holes = hole_flags(rings)
        mask = even_odd_mask(rings, width, height)
        if any(holes) or mask.area != union_area(rings, width, height):
            if mask.area:
                losses.add(HOLES_MASKED, item)
                return bounds(rings), mask.area, as_rle(mask)
            losses.add(HOLE_FILLED, item)
            rings = [ring for ring, hole in zip(rings, holes, strict=True) if not hole]
    if not rings:
        return None
    # A ring that crosses itself may have as much area to its left as to its right.
    area = sum(map(ring_area, rings)) or union_area(rings, width, height)
    if not area:
        return None
    return bounds(rings), area, [flat(ring) for ring in rings]


def _keypoint_rows(
    image: ExportImage, keypoints: list[Numbered], plan: CocoPlan, losses: LossReport
) -> tuple[list[_Row], list[_Row]]:
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
        [(row["id"], orjson.dumps(row)) for row in pose_rows],
        [(row["id"], orjson.dumps(row)) for row in lone_rows if row],
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
    box = trainable_box([places[number] for number, _ in placed], image.width, image.height)
    row: dict[str, Any] = {
        "id": min(number for number, _ in placed),
        "image_id": image.number,
        "category_id": category_id,
        "bbox": box,
        "area": box[2] * box[3],
        "segmentation": [],
        "iscrowd": 0,
        "attributes": attributes,
    }
    confidence = min(annotation.get("confidence", 1.0) for _, annotation in placed)
    if confidence != 1.0:
        row["score"] = confidence
    return row
