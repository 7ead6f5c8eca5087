"""Archives of made-up datasets, put together in memory the way the workers do it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from services.catalog.model import DatasetClass, Skeleton, SkeletonNode
from services.formats import manifest
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.writer import Document, Rendered
from services.formats.registry import FORMATS

JOINTS = ("nose", "left eye", "right eye")
CLASSES = (
    DatasetClass("car", "bbox"),
    DatasetClass("Gebäude 建物", "polygon"),
    DatasetClass("lane", "polyline"),
    DatasetClass(
        "person",
        "keypoint",
        skeleton=Skeleton(tuple(SkeletonNode(name) for name in JOINTS), ((0, 1), (0, 2))),
    ),
    *(DatasetClass(name, "keypoint") for name in JOINTS),
    DatasetClass("landmark", "keypoint"),
)


def info(format_: str, **fields: Any) -> ExportInfo:
    """An export of the dataset with `CLASSES`."""
    values: dict[str, Any] = {
        "organization_id": "org",
        "dataset_id": "dataset",
        "dataset_name": "Straßen",
        "format": format_,
        "classes": CLASSES,
        "cartouche_version": "1.2.3",
    }
    return ExportInfo(**{**values, **fields})


def image(
    annotations: Sequence[Mapping[str, Any]] | bytes = (),
    number: int = 1,
    first: int = 1,
    size: tuple[int, int] = (100, 80),
    **fields: Any,
) -> ExportImage:
    """An image of the dataset, with its annotations in the wire form."""
    raw = annotations if isinstance(annotations, bytes) else orjson.dumps(annotations)
    values: dict[str, Any] = {
        "id": f"image-{number}",
        "number": number,
        "first_annotation_number": first,
        "path": f"día/{number}.jpg",
        "name": f"día/{number}.jpg",
        "status": "complete",
        "split": None,
        "width": size[0],
        "height": size[1],
        "size": 1000,
        "sha256": "0" * 64,
        "annotations": raw,
    }
    return ExportImage(**{**values, **fields})


def annotation(kind: str, item: str, name: str = "car", **fields: Any) -> dict[str, Any]:
    """An annotation in the wire form."""
    return {
        "id": item,
        "name": name,
        "type": kind,
        "confidence": 1.0,
        "attributes": [],
        **fields,
    }


def box(item: str, x: float, y: float, w: float, h: float, **fields: Any) -> dict[str, Any]:
    """A box in the wire form."""
    return annotation("bbox", item, bounding_box={"x": x, "y": y, "w": w, "h": h}, **fields)


def polygon(
    item: str, *rings: Iterable[tuple[float, float]], name: str = CLASSES[1].name, **fields: Any
) -> dict[str, Any]:
    """A polygon in the wire form."""
    paths = [[{"x": x, "y": y} for x, y in ring] for ring in rings]
    return annotation("polygon", item, name, polygon={"paths": paths}, **fields)


def keypoint(
    item: str, name: str, x: float, y: float, instance: int | None = None, **fields: Any
) -> dict[str, Any]:
    """A keypoint in the wire form."""
    return annotation(
        "keypoint", item, name, keypoint={"x": x, "y": y}, instance_id=instance, **fields
    )


def assemble(
    export: ExportInfo, images: Iterable[ExportImage]
) -> tuple[dict[str, bytes], Rendered]:
    """Every text file of an archive by its path, and the counts and losses of all images."""
    format_ = FORMATS[export.format].writer
    rendered_all = Rendered()
    files: dict[str, bytes] = {}
    rows: dict[tuple[str, str], list[bytes]] = {}
    count = 0
    split_counts: Counter[str] = Counter()
    for item in images:
        count += 1
        split_counts[item.split or "train"] += 1
        rendered = format_.render(item, export)
        for path, content in rendered.files:
            assert path not in files
            files[path] = content
        rendered.rows[manifest.MANIFEST_PATH, manifest.SECTION] = [
            manifest.row(item, export, rendered)
        ]
        for key, lines in rendered.rows.items():
            rows.setdefault(key, []).extend(lines)
        rendered_all.annotation_count += rendered.annotation_count
        rendered_all.losses.merge(rendered.losses)
    ended = [
        document.ended(split_counts, rendered_all.losses) for document in format_.documents(export)
    ]
    FORMATS[export.format].report_classes(export.selected_classes, rendered_all.losses)
    documents = [*ended, manifest.document(export)]
    for document in documents:
        assert document.path not in files
        files[document.path] = _joined(document, rows)
    assert not rows, "rows of documents that the archive does not have"
    counts = count, rendered_all.annotation_count
    files[manifest.MANIFEST_PATH] += manifest.tail(*counts, rendered_all.losses)
    files[manifest.README_PATH] = manifest.readme(export, *counts, rendered_all.losses)
    return files, rendered_all


def losses(report: LossReport) -> dict[str, list[str]]:
    """The ids of each kind of loss."""
    return {
        kind: sorted(item for loss in reasons.values() for item in loss.ids)
        for kind, reasons in report.losses.items()
    }


def _joined(document: Document, rows: dict[tuple[str, str], list[bytes]]) -> bytes:
    text = document.frame[0]
    for section, piece in zip(document.sections, document.frame[1:], strict=True):
        text += document.separator.join(rows.pop((document.path, section), [])) + piece
    return text
