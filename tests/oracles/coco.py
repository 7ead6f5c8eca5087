"""COCO archives, read by pycocotools, Datumaro and supervision."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, archive_paths, require
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


def boxes_of_outlines(
    folder: Path, source: Sequence[SourceImage], info: ExportInfo
) -> OracleResult:
    """The boxes that pycocotools has for outlines: those that they came with."""
    answer = read("datumaro", "pycocotools_objects", folder, *_documents(info))
    places = archive_paths(folder)
    rows = {image["path"]: image["rows"] for image in answer["images"]}
    count, largest = 0, 0.0
    for image in source:
        found = [row["box"] for row in rows[places[image.path]] if row["kind"] == "ring"]
        given = [[row["bounding_box"][key] for key in "xywh"] for row in image.annotations]
        require(len(found) == len(given), f"{image.path}: {len(found)} outlines")
        errors = np.abs(np.array(found) - np.array(given))
        require(bool(errors.max() <= PYCOCOTOOLS.tolerance), f"{image.path}: {errors.max()} px off")
        count, largest = count + len(found), max(largest, float(errors.max()))
    return OracleResult(len(source), count, largest)


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
