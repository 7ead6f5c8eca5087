"""Darwin JSON 2.0, V7's format: one file per image.

Fields: darwin-py, `darwin/exporter/formats/darwin.py` and the parser in `darwin/utils/utils.py`;
https://docs.v7labs.com/reference/darwin-json. The folders are those of a dataset that darwin-py
has pulled; with splits each of `train/`, `valid/` and `test/` is such a dataset.

A polygon keeps all its rings, as Darwin reads them even-odd. Joints of one object become a
skeleton, attributes become properties, a confidence other than 1 the property `score`. A
rotated box, which Darwin does not know, becomes a polygon and is reported.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from services.formats.common.attributes import attribute_text
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import TOLERANCE, Box, Point, bounds
from services.formats.common.keypoints import OCCLUDED
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import TURNED_AS_POLYGON
from services.formats.common.objects import Object, Pose, objects
from services.formats.common.rows import fragment
from services.formats.common.shapes import Joint, Line, Rectangle, Region, TurnedBox
from services.formats.common.writer import Document, Rendered, Tally

_SCHEMA = "https://darwin-public.s3.eu-west-1.amazonaws.com/darwin_json/2.0/schema.json"
_SLOT = "0"
#: `latest` is the release that darwin-py reads where none is named.
_RELEASE = "releases/latest/annotations/"


class Darwin:
    """`images/<name>`, `releases/latest/annotations/<stem>.json`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`releases/latest/annotations/<stem>.json`."""
        return (f"{image.folder(info)}{_RELEASE}{image.stem}.json",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        return "".join(
            f"{folder}{_RELEASE}<stem>.json   one image and its annotations\n"
            f"{folder}images/<name>   the image files\n"
            for folder in info.folders
        ) + (
            "Classes go by name. Ids that are no UUID are replaced by one made from them.\n"
            "Coordinates are pixels from the top-left corner.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """None."""
        return ()

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's own file."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        annotations = [
            fragment(_annotation(item, image, rendered.losses))
            for item in objects(image, info, selected, rendered.losses)
        ]
        rendered.annotation_count = len(annotations)
        folder, _, filename = image.name.rpartition("/")
        value = {
            "version": "2.0",
            "schema_ref": _SCHEMA,
            "item": {
                "name": filename,
                "path": f"/{folder}",
                "source_info": {
                    "item_id": image.id,
                    "dataset": {"name": info.dataset_name, "slug": info.dataset_id},
                    "team": {"name": info.organization_id, "slug": info.organization_id},
                    "workview_url": "",
                },
                "slots": [
                    {
                        "type": "image",
                        "slot_name": _SLOT,
                        "width": image.width,
                        "height": image.height,
                        "thumbnail_url": "",
                        "source_files": [{"file_name": filename, "url": ""}],
                    }
                ],
            },
            "annotations": annotations,
        }
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)))
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """One image for each file; its annotations are of the archive's classes and on it."""
        value = orjson.loads(b"\n".join(lines))
        slot = value["item"]["slots"][0]
        known = info.class_ids
        for annotation in value["annotations"]:
            if annotation["name"] not in known:
                raise ValueError(f"the archive has no class {annotation['name']!r}")
            UUID(annotation["id"])
            for x, y in _points(annotation):
                if not (
                    0 <= x <= slot["width"] + TOLERANCE and 0 <= y <= slot["height"] + TOLERANCE
                ):
                    raise ValueError(f"annotation {annotation['id']} reaches over the image's edge")
        return Tally(1, len(value["annotations"]))


def _annotation(item: Object, image: ExportImage, losses: LossReport) -> dict[str, Any]:
    attributes = item.attributes_with_score
    if isinstance(item.shape, Joint) and item.shape.visibility == OCCLUDED:
        attributes = {**attributes, "occluded": True}
    return {
        "id": _uuid(item.id, image),
        "name": item.class_name,
        "slot_names": [_SLOT],
        "properties": _properties(attributes),
        **_geometry(item, losses),
    }


def _geometry(item: Object, losses: LossReport) -> dict[str, Any]:
    match item.shape:
        case Rectangle(box):
            return {"bounding_box": _box(box)}
        case TurnedBox() as turned:
            losses.add(TURNED_AS_POLYGON, item.id)
            return _polygon([turned.ring])
        case Region(rings):
            return _polygon(rings)
        case Line(path):
            return {"line": {"path": _path(path)}}
        case Joint(_, (x, y)):
            return {"keypoint": {"x": x, "y": y}}
        case Pose() as pose:
            nodes = [
                {
                    "name": joint.name,
                    "occluded": joint.visibility == OCCLUDED,
                    "x": joint.point[0],
                    "y": joint.point[1],
                }
                for joint in pose.placed
            ]
            return {"skeleton": {"nodes": nodes}}


def _polygon(rings: list[list[Point]]) -> dict[str, Any]:
    return {
        "polygon": {"paths": [_path(ring) for ring in rings]},
        "bounding_box": _box(bounds(rings)),
    }


def _path(points: list[Point]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def _box(box: Box) -> dict[str, float]:
    return dict(zip("xywh", box, strict=True))


def _properties(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """One property for each value; several values of one name are a choice of many."""
    return [
        {"frame_index": 0, "name": name, "value": attribute_text(value)}
        for name, values in attributes.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _uuid(item_id: str, image: ExportImage) -> str:
    """The id, where it is a UUID; else one made from it, always the same."""
    try:
        return str(UUID(item_id))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"{image.id}/{item_id}"))


def _points(annotation: dict[str, Any]) -> Iterator[Point]:
    """Every point of an annotation as it was written."""
    if "polygon" in annotation:
        found = [point for path in annotation["polygon"]["paths"] for point in path]
    elif "line" in annotation:
        found = annotation["line"]["path"]
    elif "skeleton" in annotation:
        found = annotation["skeleton"]["nodes"]
    elif "keypoint" in annotation:
        found = [annotation["keypoint"]]
    else:
        box = annotation["bounding_box"]
        found = [box, {"x": box["x"] + box["w"], "y": box["y"] + box["h"]}]
    return ((point["x"], point["y"]) for point in found)


WRITER = Darwin()
