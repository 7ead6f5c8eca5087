"""COCO: object detection, segmentation and keypoints.

Layout: https://cocodataset.org/#format-data and what pycocotools, Datumaro and supervision
read. With splits, each of `train/`, `valid/` and `test/` is a whole COCO dataset with the same
categories; `file_name` is relative to its `images/`. `person_keypoints_*.json` holds the poses
alone, as Datumaro wants keypoints on every annotation and category of such a file.

Where a folder `images/<subset>/` is, Datumaro takes that for the root of a subset's images
(`find_images_dir` in its `coco/base.py`), the subset being what a document is called after. A
dataset's folder of that name is therefore renamed, and reported.
"""

from collections.abc import Iterator, Sequence

from services.catalog.names import MAX_COMPONENT, folded, split_extension
from services.formats.coco.losses import FOLDER_RENAMED
from services.formats.common.coco_document import coco_document, read_coco
from services.formats.common.coco_plan import CocoPlan
from services.formats.common.coco_rows import annotation_rows, image_row
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.writer import Document, Rendered, Tally


class Coco:
    """`images/<name>`, `annotations/instances_*.json`, `annotations/person_keypoints_*.json`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{_file_name(image, info)}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """None: all text is in documents."""
        return ()

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        lines = []
        for folder in info.folders:
            lines.append(f"{_document_path(folder, 'instances')}   all annotations")
            if info.selected_templates:
                lines.append(f"{_document_path(folder, 'person_keypoints')}   the poses alone")
            lines.append(f"{folder}images/<file_name>   the image files")
        return "\n".join(lines) + "\n"

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """The instances of each split and, where a class has a skeleton, its poses."""
        plan = info.once(CocoPlan)
        documents = []
        for folder in info.folders:
            path = _document_path(folder, "instances")
            documents.append(coco_document(path, info, plan.categories))
            if plan.pose_categories:
                path = _document_path(folder, "person_keypoints")
                documents.append(coco_document(path, info, plan.pose_categories))
        return documents

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's row and one row for each object on it, by id."""
        plan = info.once(CocoPlan)
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        rows = annotation_rows(image, selected, plan, rendered.losses)
        rendered.annotation_count = len(rows.annotations)
        file_name = _file_name(image, info)
        if file_name != image.name == image.path:
            rendered.losses.add(FOLDER_RENAMED, image.id)
        own_row = image_row(image, file_name)
        folder = image.folder(info)
        instances = _document_path(folder, "instances")
        rendered.rows[instances, "images"] = [own_row]
        rendered.rows[instances, "annotations"] = rows.annotations
        if plan.pose_categories:
            keypoint_document = _document_path(folder, "person_keypoints")
            rendered.rows[keypoint_document, "images"] = [own_row]
            rendered.rows[keypoint_document, "annotations"] = rows.poses
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """The poses repeat rows of the instances."""
        tally = read_coco(lines, len(info.selected_classes))
        return Tally() if "/person_keypoints_" in path else tally


def _document_path(folder: str, task: str) -> str:
    return f"{folder}annotations/{task}_{_subset(folder)}.json"


def _subset(folder: str) -> str:
    return folder.rstrip("/") or "default"


def _file_name(image: ExportImage, info: ExportInfo) -> str:
    """The image's name, with a `_` after a first folder that is named like the subset. The file
    then ends with `~number`, which no other image's does, so that names stay unique."""
    first, slash, rest = image.name.partition("/")
    if not slash or folded(first) != _subset(image.folder(info)):
        return image.name
    suffix = f"~{image.number}"
    stem, extension = split_extension(rest)
    folders, slash, name = stem.removesuffix(suffix).rpartition("/")
    room = MAX_COMPONENT - len(f"{suffix}{extension}".encode())
    name = name.encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{first}_/{folders}{slash}{name}{suffix}{extension}"


WRITER = Coco()
