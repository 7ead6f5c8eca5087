"""Datumaro JSON: one file for all images.

Fields: Datumaro's own `plugins/data_formats/datumaro/`. With splits, each of `train/`,
`valid/` and `test/` is a dataset of one subset of that name; without, the subset is `default`.

A rotated box, which Datumaro's reader refuses, becomes a polygon with its angle as the
attribute `rotation`. A polygon with holes becomes a mask, one of several parts polygons of
one group. Joints of one object become points in the order of the skeleton.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from services.catalog.model import DatasetClass
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import TOLERANCE, Point, Ring, flat
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    HOLE_FILLED,
    HOLES_MASKED,
    PARTS_GROUPED,
    TURNED_AS_POLYGON,
)
from services.formats.common.masks import as_rle, even_odd_mask, needs_mask
from services.formats.common.objects import Object, Pose, objects
from services.formats.common.ring_nesting import outer_rings
from services.formats.common.rows import fragment
from services.formats.common.shapes import Joint, Line, Rectangle, Region, TurnedBox
from services.formats.common.writer import Document, Rendered, Tally

_MEDIA_TYPE_IMAGE = 2
_ITEMS = b'"items":['


class Datumaro:
    """`annotations/<subset>.json`, `images/<subset>/<name>`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<subset>/<name>`, under the split's folder where the export has them."""
        folder = image.folder(info)
        return f"{folder}images/{_subset(folder)}/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """None: all text is in documents."""
        return ()

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        return (
            "".join(
                f"{_document_path(folder)}   all annotations\n"
                f"{folder}images/{_subset(folder)}/<path>   the image files\n"
                for folder in info.folders
            )
            + "Parts of one polygon share a group. Joints of skeletons count from 1, as in COCO.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """One for each top folder."""
        head = orjson.dumps(
            {
                "dm_format_version": "1.0",
                "media_type": _MEDIA_TYPE_IMAGE,
                "infos": {},
                "categories": _categories(info),
            }
        )
        frame = (head[:-1] + b"," + _ITEMS + b"\n", b"\n]}\n")
        return [Document(_document_path(folder), ("items",), frame) for folder in info.folders]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's item."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        annotations: list[orjson.Fragment] = []
        for item in objects(image, info, selected, rendered.losses):
            for geometry in _geometries(item, image, rendered.losses):
                # Ids are unique in the item: several parts of a polygon have one number.
                found = {"id": len(annotations) + 1, **_common(item), **geometry}
                annotations.append(fragment(found))
        rendered.annotation_count = len(annotations)
        row = orjson.dumps(
            {
                "id": image.stem,
                "attr": {},
                "image": {"path": image.name, "size": [image.height, image.width]},
                "annotations": annotations,
            }
        )
        rendered.rows[_document_path(image.folder(info)), "items"] = [row]
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """Items stand on lines of their own."""
        class_count = len(info.selected_classes)
        image_count = annotation_count = 0
        section = ""
        for line in lines:
            if line.endswith(_ITEMS):
                head = orjson.loads(line + b"]}")
                if len(head["categories"]["label"]["labels"]) != class_count:
                    raise ValueError("it declares other classes than the archive has")
                section = "items"
            elif line == b"]}":
                section = "end"
            elif line and section == "items":
                item = orjson.loads(line.removesuffix(b","))
                image_count += 1
                annotation_count += len(item["annotations"])
                for annotation in item["annotations"]:
                    _check(annotation, item["image"]["size"], class_count)
        if section != "end":
            raise ValueError("it breaks off")
        return Tally(image_count, annotation_count)


def _subset(folder: str) -> str:
    return folder.rstrip("/") or "default"


def _document_path(folder: str) -> str:
    return f"{folder}annotations/{_subset(folder)}.json"


def _categories(info: ExportInfo) -> dict[str, Any]:
    categories: dict[str, Any] = {
        "label": {
            "labels": [
                {"name": c.name, "parent": "", "attributes": [a.name for a in c.attributes]}
                for c in info.selected_classes
            ],
            "label_groups": [],
            "attributes": [],
        }
    }
    points = [
        {"label_id": number, **_template(c), "positions": []}
        for number, c in enumerate(info.selected_classes)
        if c.type == "keypoint"
    ]
    if points:
        categories["points"] = {"items": points}
    return categories


def _template(c: DatasetClass) -> dict[str, Any]:
    """The joints and bones of a keypoint class; a class without a skeleton is one point."""
    if c.skeleton is None or not c.skeleton.nodes:
        return {"labels": [c.name], "joints": []}
    return {
        "labels": [node.name for node in c.skeleton.nodes],
        "joints": [[a + 1, b + 1] for a, b in c.skeleton.edges],
    }


def _common(item: Object) -> dict[str, Any]:
    return {
        "attributes": item.attributes_with_score,
        "group": 0,
        "label_id": item.class_id,
        "z_order": 0,
    }


def _geometries(item: Object, image: ExportImage, losses: LossReport) -> list[dict[str, Any]]:
    """What tells the shape: several for the parts of a polygon."""
    match item.shape:
        case Rectangle(box):
            return [{"type": "bbox", "bbox": box}]
        case TurnedBox(oriented, ring):
            losses.add(TURNED_AS_POLYGON, item.id)
            attributes = {**item.attributes_with_score, "rotation": oriented.angle}
            return [{"type": "polygon", "points": flat(ring), "attributes": attributes}]
        case Region(rings):
            return _region(item, rings, image, losses)
        case Line(path):
            return [{"type": "polyline", "points": flat(path)}]
        case Joint(_, point, visibility):
            return [{"type": "points", "points": list(point), "visibility": [visibility]}]
        case Pose(joints):
            return [
                {
                    "type": "points",
                    "points": flat([joint.point if joint else (0.0, 0.0) for joint in joints]),
                    "visibility": [joint.visibility if joint else 0 for joint in joints],
                }
            ]


def _region(
    item: Object, rings: list[Ring], image: ExportImage, losses: LossReport
) -> list[dict[str, Any]]:
    if needs_mask(rings, image.width, image.height):
        mask = even_odd_mask(rings, image.width, image.height)
        if mask.area:
            losses.add(HOLES_MASKED, item.id)
            return [{"type": "mask", "rle": as_rle(mask)}]
        losses.add(HOLE_FILLED, item.id)
        rings = outer_rings(rings)
    if len(rings) == 1:
        return [{"type": "polygon", "points": flat(rings[0])}]
    losses.add(PARTS_GROUPED, item.id)
    return [{"type": "polygon", "points": flat(ring), "group": item.number} for ring in rings]


def _check(annotation: dict[str, Any], size: list[int], class_count: int) -> None:
    """Raises:
    ValueError: the annotation is of no class of the archive, or off the image.
    """
    height, width = size
    if not 0 <= annotation["label_id"] < class_count:
        raise ValueError(f"an annotation has the class id {annotation['label_id']}")
    points: list[Point]
    if annotation["type"] == "mask":
        if annotation["rle"]["size"] != size:
            raise ValueError("a mask has another size than its image")
        return
    if annotation["type"] == "bbox":
        x, y, w, h = annotation["bbox"]
        points = [(x, y), (x + w, y + h)]
    else:
        values = annotation["points"]
        points = list(zip(values[::2], values[1::2], strict=True))
    for x, y in points:
        if not (0 <= x <= width + TOLERANCE and 0 <= y <= height + TOLERANCE):
            raise ValueError(f"a {annotation['type']} at {x}, {y} is not on the image")


WRITER = Datumaro()
