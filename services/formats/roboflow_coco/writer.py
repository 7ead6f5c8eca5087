"""COCO in the layout of Roboflow: `train/`, `valid/` and `test/`, each with its images beside one
`_annotations.coco.json`.

Layout: https://rfdetr.roboflow.com/learn/train/dataset-formats/. RF-DETR, supervision and
Datumaro's `roboflow_coco` look for the document under this name. All three documents are
always there, as RF-DETR wants; images without a split are for training.

`file_name` is relative to the document's folder and has none itself, so a dataset's folders
become a part of the file names. Category ids count from 1 in class order: supervision writes
them so and reads classes sorted by id; RF-DETR 1.11 numbers its labels by the sorted ids, and
versions before 1.6 take 0 for the background. A `supercategory` that is the name of a
category is left empty: RF-DETR takes that category for a group and leaves it out.
"""

from collections.abc import Iterator, Sequence

from services.formats.common.coco_document import coco_document, read_coco
from services.formats.common.coco_plan import CocoPlan
from services.formats.common.coco_rows import annotation_rows, image_row
from services.formats.common.export import SPLIT_FOLDERS, ExportImage, ExportInfo
from services.formats.common.flat_names import flat_name, report_flat_name
from services.formats.common.writer import Document, Rendered, Tally

_DOCUMENT = "_annotations.coco.json"


class RoboflowCoco:
    """`<train|valid|test>/<name>` and `<train|valid|test>/_annotations.coco.json`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`<train|valid|test>/<name>`, whether or not the export asks for splits."""
        return f"{image.split_folder}{flat_name(image)}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """None: all text is in documents."""
        return ()

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        return (
            f"<train|valid|test>/{_DOCUMENT}   the annotations of a split\n"
            "<train|valid|test>/<file_name>              the image files\n"
            "Images without a split are in train. Category ids count from 1.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """One for each split."""
        categories = info.once(CocoPlan).categories
        names = {category["name"] for category in categories}
        categories = [
            {**category, "supercategory": ""} if category["supercategory"] in names else category
            for category in categories
        ]
        return [
            coco_document(f"{folder}{_DOCUMENT}", info, categories)
            for folder in SPLIT_FOLDERS.values()
        ]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's row and one row for each object on it, by id."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        report_flat_name(image, rendered.losses)
        rows = annotation_rows(image, selected, info.once(CocoPlan), rendered.losses)
        rendered.annotation_count = len(rows.annotations)
        path = f"{image.split_folder}{_DOCUMENT}"
        rendered.rows[path, "images"] = [image_row(image, flat_name(image))]
        rendered.rows[path, "annotations"] = rows.annotations
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """Every document holds the images and annotations of its split."""
        return read_coco(lines, len(info.selected_classes))


WRITER = RoboflowCoco()
