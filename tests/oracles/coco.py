"""COCO archives, read by pycocotools, Datumaro and supervision."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import Row, Style, compare

PYCOCOTOOLS = Style(tolerance=1e-6, lines=False)
#: It rounds to two decimals, and reads poses from a file of their own.
DATUMARO = Style(tolerance=0.02, lines=False, poses="box", points="box")
#: Single precision.
SUPERVISION = Style(
    tolerance=0.01, turned="box", polygons="box", lines=False, poses="box", points="box"
)


def pycocotools(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every annotation of the instances, rasters and poses too."""
    answer = read("datumaro", "pycocotools_objects", folder, *_documents(info))
    return compare(folder, source, info, answer["images"], PYCOCOTOOLS)


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The instances that Datumaro finds."""
    roots = (part or "." for part in info.folders)
    answer = read("datumaro", "datumaro_shapes", folder, "coco_instances", *roots)
    images = [{**image, "rows": outlined(image["rows"])} for image in answer["images"]]
    return compare(folder, source, info, images, DATUMARO)


def supervision(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The boxes that supervision finds."""
    places = [
        place
        for part, document in zip(info.folders, _documents(info), strict=True)
        for place in (f"{part}images", document)
    ]
    answer = read("datumaro", "supervision_boxes", folder, "coco", *places)
    return compare(folder, source, info, answer["images"], SUPERVISION)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"pycocotools": pycocotools, "datumaro": datumaro, "supervision": supervision}


def outlined(rows: Sequence[Row]) -> list[Row]:
    """Rows without the boxes that Datumaro gives to annotations beside their outlines."""
    outlined = {row["group"] for row in rows if row["kind"] in ("ring", "mask")}
    return [row for row in rows if row["kind"] != "box" or row["group"] not in outlined]


def _documents(info: ExportInfo) -> Iterator[str]:
    for part in info.folders:
        yield f"{part}annotations/instances_{part.rstrip('/') or 'default'}.json"
