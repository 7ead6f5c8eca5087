"""Pictograph JSON: one file per image, annotations as they came in.

The official SDK has no reader of whole archives; this layout is ours, and versioned. The
annotations are in the wire form of the SDK's models, byte for byte as stored.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.pictograph.format import FORMAT

_DATASET_PATH = "dataset.json"


class Pictograph:
    """`images/<name>`, `annotations/<name>.json`, `dataset.json`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`annotations/<name>.json`."""
        return (f"{image.folder(info)}annotations/{image.name}.json",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        folder = "<train|valid|test>/" if info.organize_by_split else ""
        return (
            "dataset.json                     the classes, with attributes and skeletons\n"
            f"{folder}annotations/<name>.json   one image and its annotations\n"
            f"{folder}images/<name>             the image files\n"
            "Annotations are in the Pictograph wire form; coordinates are pixels.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """`dataset.json` alone; it depends on no image."""
        value = {
            "schema_version": FORMAT.layout_version,
            "dataset": {"id": info.dataset_id, "name": info.dataset_name},
            "classes": [
                {"id": number, **c.to_json()} for number, c in enumerate(info.selected_classes)
            ],
        }
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        return [Document(_DATASET_PATH, (), (text,))]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's own file; its annotations are parsed only where a filter needs it."""
        annotations: Any
        if info.class_filter:
            annotations = [annotation for _, annotation in image.selected(info)]
            count = len(annotations)
        else:
            annotations = orjson.Fragment(image.annotations)
            known = image.annotation_count
            count = len(orjson.loads(image.annotations)) if known is None else known
        folder, _, filename = image.path.rpartition("/")
        value = {
            "image": {
                "id": image.id,
                "path": image.path,
                "filename": filename,
                "folder": f"/{folder}",
                "file": self.image_path(image, info),
                "status": image.status,
                "split": image.split,
                "width": image.width,
                "height": image.height,
                "size": image.size,
                "sha256": image.sha256,
            },
            "annotations": annotations,
        }
        rendered = Rendered.start(image, count)
        rendered.annotation_count = count
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)))
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """One image for each file of annotations, whose classes the dataset must have."""
        value = orjson.loads(b"\n".join(lines))
        if path == _DATASET_PATH:
            return Tally()
        known = info.once(_known)
        for annotation in value["annotations"]:
            if annotation["name"] not in known:
                raise ValueError(f"the dataset has no class {annotation['name']!r}")
        return Tally(1, len(value["annotations"]))


def _known(info: ExportInfo) -> frozenset[str]:
    return frozenset(c.name for c in info.classes)


WRITER = Pictograph()
