"""LabelMe JSON (wkentaro/labelme): one file per image, beside the image.

Fields: labelme's `_label_file.py` and `_shape.py`. With splits, each of `train/`, `valid/` and
`test/` is a folder of its own to open.

Joints are points that share the instance's `group_id`; parts of one polygon share one too, as
labelme's converters expect. A polygon with holes becomes a mask. A rotated box becomes a
polygon, which every version of labelme reads. Attributes that are true or false are `flags`;
the others, and what else labelme has no key for, it keeps under the keys written here.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import count
from posixpath import basename
from typing import Any

import orjson

from services.formats.common.attributes import attributes_of
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import TOLERANCE, Point, Ring
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    HOLE_FILLED,
    HOLES_MASKED,
    NO_CLASS,
    PARTS_GROUPED,
    TURNED_AS_POLYGON,
)
from services.formats.common.masks import Crop, even_odd_crop, needs_mask
from services.formats.common.png import mask_png
from services.formats.common.ring_nesting import outer_rings
from services.formats.common.rows import fragment
from services.formats.common.shapes import Joint, Line, Rectangle, Region, Shape, TurnedBox, place
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.labelme.losses import NAME_WITH_GAPS

#: The version of labelme whose files these are like.
_VERSION = "5.5.0"


class LabelMe:
    """`images/<stem>.json` beside `images/<name>`, `labels.txt`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`images/<stem>.json`; no image is named like a JSON file (`services.catalog.names`)."""
        return (f"{image.folder(info)}images/{image.stem}.json",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        text = "".join(
            f"{folder}images/<name>   the image files\n"
            f"{folder}images/<stem>.json   each image's annotations, beside it\n"
            f"{folder}labels.txt   the labels, for labelme --labels and its converters\n"
            for folder in info.folders
        )
        text += "What belongs together shares a group_id: a polygon's parts, an object's joints.\n"
        if info.selected_templates:
            text += "labelme knows no skeletons: the bones between joints are not written.\n"
        if not info.include_images:
            text += "labelme opens a JSON file only where its image lies beside it.\n"
        return text

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """`labels.txt`."""
        text = "".join(f"{name}\n" for name in ("__ignore__", "_background_", *_labels(info)))
        return [Document(f"{folder}labels.txt", (), (text.encode(),)) for folder in info.folders]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's own file."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        labels = info.once(_label_set)
        free_groups = count(1 + max((a.get("instance_id") or 0 for _, a in selected), default=0))
        shapes: list[orjson.Fragment] = []
        for _, annotation in selected:
            if _label(annotation["name"]) not in labels:
                rendered.losses.add(NO_CLASS, annotation["id"])
                continue
            placed = place(annotation, image, rendered.losses)
            if placed is None:
                continue
            found = _shapes(annotation, placed[0], image, free_groups, rendered.losses)
            shapes.extend(map(fragment, found))
        rendered.annotation_count = len(shapes)
        value: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": basename(image.name),
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)))
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """One image for each JSON file; its shapes are of the archive's labels and on it."""
        text = b"\n".join(lines)
        labels = info.once(_label_set)
        if path.endswith("labels.txt"):
            if len(text.decode().split("\n")) < len(labels):
                raise ValueError("it lacks labels")
            return Tally()
        value = orjson.loads(text)
        width, height = value["imageWidth"], value["imageHeight"]
        for shape in value["shapes"]:
            if shape["label"] not in labels:
                raise ValueError(f"the archive has no label {shape['label']!r}")
            for x, y in shape["points"]:
                if not (0 <= x <= width + TOLERANCE and 0 <= y <= height + TOLERANCE):
                    raise ValueError(f"a shape reaches to {x}, {y}, which is not on the image")
        return Tally(1, len(value["shapes"]))


def _labels(info: ExportInfo) -> list[str]:
    """The classes, then the joints that are no classes of the archive: they go by their name."""
    classes = [c.name for c in info.selected_classes]
    joints = [name for names in info.selected_templates.values() for name in names]
    return [_label(name) for name in dict.fromkeys([*classes, *joints])]


def _label_set(info: ExportInfo) -> frozenset[str]:
    return frozenset(_labels(info))


def _label(name: str) -> str:
    """A class name as a line of `labels.txt`."""
    return " ".join(name.split())


def _shapes(
    annotation: dict[str, Any],
    shape: Shape,
    image: ExportImage,
    free_groups: Iterator[int],
    losses: LossReport,
) -> list[dict[str, Any]]:
    """The annotation's shapes: several where a polygon has several parts."""
    item = annotation["id"]
    match shape:
        case Rectangle((x, y, w, h)):
            found = [_shape("rectangle", [(x, y), (x + w, y + h)])]
        case TurnedBox(_, ring):
            losses.add(TURNED_AS_POLYGON, item)
            found = [_shape("polygon", ring)]
        case Region(rings):
            found = _region(item, rings, image, free_groups, losses)
        case Line(path):
            found = [_shape("linestrip", path)]
        case Joint(_, point):
            found = [_shape("point", [point]) | {"group_id": annotation.get("instance_id")}]
    label = _label(annotation["name"])
    if label != annotation["name"]:
        losses.add(NAME_WITH_GAPS, item)
    attributes = attributes_of(annotation)
    extra: dict[str, Any] = {
        "label": label,
        "flags": {name: value for name, value in attributes.items() if isinstance(value, bool)},
        "id": item,
        "attributes": {
            name: value for name, value in attributes.items() if not isinstance(value, bool)
        },
        "confidence": annotation.get("confidence", 1.0),
    }
    return [one | extra for one in found]


def _region(
    item: str,
    rings: list[Ring],
    image: ExportImage,
    free_groups: Iterator[int],
    losses: LossReport,
) -> list[dict[str, Any]]:
    if needs_mask(rings, image.width, image.height):
        crop = even_odd_crop(rings)
        if crop.area:
            losses.add(HOLES_MASKED, item)
            return [_mask(crop)]
        losses.add(HOLE_FILLED, item)
        rings = outer_rings(rings)
    if len(rings) == 1:
        return [_shape("polygon", rings[0])]
    losses.add(PARTS_GROUPED, item)
    group = next(free_groups)
    return [_shape("polygon", ring) | {"group_id": group} for ring in rings]


def _shape(kind: str, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "points": [[float(x), float(y)] for x, y in points],
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "mask": None,
    }


def _mask(crop: Crop) -> dict[str, Any]:
    """Both points are pixels of the mask: its first and its last."""
    last = crop.left + crop.width - 1, crop.top + crop.height - 1
    return _shape("mask", [(crop.left, crop.top), last]) | {
        "mask": b64encode(mask_png(crop)).decode()
    }


WRITER = LabelMe()
