"""Rows of COCO documents: images, and the annotations and categories of a selection.

Fields: https://cocodataset.org/#format-data and what pycocotools, Datumaro and supervision
read.

What has no plain COCO form:
- a polygon with holes, or with rings that overlap, becomes a mask (RLE, iscrowd 0), since
  COCO reads a list of rings as their union;
- a rotated box keeps its enclosing box and gets its corners as the segmentation and the
  angle as the attribute `rotation`, as CVAT does;
- a polyline is dropped;
- a crowd, an annotation whose attribute `iscrowd` says yes, has iscrowd 1, and its outline is a
  mask, as pycocotools wants it;
- joints of one object become one annotation, with the number of its first joint as id.
An outline keeps the box that it came with, which need not be the one around it, as far as that
box lies on the image.
`score` is there where a confidence is not 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from services.formats.common.attributes import attributes_of, take_flag
from services.formats.common.coco_losses import BOX_CLAMPED, BOX_REPLACED, NO_POLYLINES
from services.formats.common.coco_plan import CocoPlan
from services.formats.common.coco_poses import Row, keypoint_rows
from services.formats.common.crossing import may_cross_itself
from services.formats.common.export import ExportImage
from services.formats.common.geometry import (
    TOLERANCE,
    Box,
    OrientedBox,
    Ring,
    bounds,
    clamp_box,
    clip_ring,
    flat,
    in_reason,
    overshoot,
    ring_area,
    ring_of,
)
from services.formats.common.keypoints import (
    Numbered,
)
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    CLAMPED,
    HOLE_FILLED,
    HOLES_MASKED,
    NO_AREA,
    NO_CLASS,
    OUT_OF_REACH,
    TURNED_AS_POLYGON,
)
from services.formats.common.masks import as_rle, even_odd_mask, is_union, union_area
from services.formats.common.ring_nesting import hole_flags, may_overlap
from services.formats.common.rows import compact

#: Box, area and segmentation of an annotation.
_Shape: TypeAlias = tuple[Box, float, Any]
#: Annotations of an image whose rows keep the buffers that they were written to, 4 KiB each: that
#: is less than a copy of each takes in time.
_FEW = 64
_numbers_of = itemgetter("x", "y", "w", "h")


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
    poses: list[Row] = []
    if keypoints:
        poses, lone = keypoint_rows(image, keypoints, plan, losses)
        rows = sorted(rows + poses + lone)
    return CocoRows([text for _, text in rows], [text for _, text in sorted(poses)])


def _shape_rows(
    image: ExportImage, selected: list[Numbered], plan: CocoPlan, losses: LossReport
) -> tuple[list[Row], list[Numbered]]:
    """Rows of boxes and polygons; and the keypoints, which are still to be grouped."""
    rows: list[Row] = []
    keypoints: list[Numbered] = []
    ids, image_id, width, height = plan.ids, image.number, image.width, image.height
    pack = orjson.dumps if len(selected) <= _FEW else compact
    # Of a box that lies on its image and says no more, as most do: one for all of them.
    plain: dict[str, Any] = {
        "id": 0,
        "image_id": image_id,
        "category_id": 0,
        "bbox": (),
        "area": 0.0,
        "segmentation": (),
        "iscrowd": 0,
        "attributes": {},
    }
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
        attributes = attributes_of(annotation) if annotation.get("attributes") else {}
        confidence = annotation.get("confidence", 1.0)
        crowd = False
        if "iscrowd" in attributes:
            attributes, crowd = take_flag(attributes, "iscrowd")
        if kind == "bbox":
            x, y, w, h = box = _numbers_of(annotation["bounding_box"])
            area = w * h
            if (
                x >= 0
                and y >= 0
                and area > 0
                and x < x + w <= width
                and y < y + h <= height
                and not annotation.get("oriented_box")
            ):
                if not attributes and not crowd and confidence == 1.0:
                    plain["id"], plain["category_id"] = number, category_id
                    plain["bbox"], plain["area"] = box, area
                    rows.append((number, pack(plain)))
                    continue
                shape = box, area, ()
            else:
                shape = _box(annotation, box, image, losses)
        elif kind == "polygon":
            shape = _polygon(annotation, image, losses, crowd)
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
            "iscrowd": int(crowd),
            "attributes": attributes,
        }
        if kind == "bbox" and shape[2]:
            rotation = annotation["oriented_box"]["angle"]
            row["attributes"] = {**attributes, "rotation": rotation}
        if confidence != 1.0:
            row["score"] = confidence
        # At once: a row that lives on costs more in garbage collection than in itself.
        rows.append((number, pack(row)))
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


def _on_image(box: Box, width: int, height: int) -> Box | None:
    """The part on the image of the box that an outline came with; None where it has none."""
    if not in_reason([box]):
        return None
    x, y, w, h = clamp_box(box, width, height)
    return (x, y, w, h) if w > 0 and h > 0 and x + w > x and y + h > y else None


def _polygon(
    annotation: Mapping[str, Any], image: ExportImage, losses: LossReport, crowd: bool
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
    shape = _crowd_shape(rings, width, height) if crowd and rings else None
    shape = shape or _area_shape(rings, item, width, height, losses)
    if shape is None:
        losses.add(NO_AREA, item)
        return None
    is_clamped = overshoot(whole, width, height) > TOLERANCE
    if is_clamped:
        losses.add(CLAMPED, item)
    if not (given := annotation.get("bounding_box")):
        return shape
    box = given["x"], given["y"], given["w"], given["h"]
    kept = _on_image(box, width, height)
    if kept is None:
        losses.add(BOX_REPLACED, item)
        return shape
    if not is_clamped and overshoot(box, width, height) > TOLERANCE:
        losses.add(BOX_CLAMPED, item)
    return kept, shape[1], shape[2]


def _crowd_shape(rings: list[Ring], width: int, height: int) -> _Shape | None:
    """A polygon as a mask; None where that has no pixel."""
    mask = even_odd_mask(rings, width, height)
    return (bounds(rings), mask.area, as_rle(mask)) if mask.area else None


def _area_shape(
    rings: list[Ring], item: str, width: int, height: int, losses: LossReport
) -> _Shape | None:
    """A polygon on the image as rings, or as a mask where a list of rings says other."""
    holes = [False]
    if len(rings) > 1 and may_overlap(rings):
        holes = hole_flags(rings)
        if any(holes) or not is_union(rings, width, height):
            mask = even_odd_mask(rings, width, height)
            if mask.area:
                losses.add(HOLES_MASKED, item)
                return bounds(rings), mask.area, as_rle(mask)
            losses.add(HOLE_FILLED, item)
            rings = [ring for ring, hole in zip(rings, holes, strict=True) if not hole]
    if not rings:
        return None
    crosses = any(map(may_cross_itself, rings))
    area = (0.0 if crosses else sum(map(ring_area, rings))) or union_area(rings, width, height)
    if not area:
        return None
    return bounds(rings), area, [flat(ring) for ring in rings]
