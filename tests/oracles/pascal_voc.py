"""Pascal VOC archives, read by Datumaro and supervision."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import Style, compare

#: Boxes are whole pixels, at least one wide.
_STYLE = Style(tolerance=1, turned="box", polygons="box", lines=False, poses="box", points="")
_DEVKIT = "VOCdevkit/VOC2012"
#: The list of each top folder that has all its images.
_LISTS = {"": "train", "train/": "train", "valid/": "val", "test/": "test"}


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The boxes that Datumaro finds, of one list of each devkit."""
    roots = (f"{part}{_DEVKIT}" for part in info.folders)
    answer = read("datumaro", "datumaro_shapes", folder, "voc_detection", *roots)
    lists = {_LISTS[part] for part in info.folders}
    images = [
        # The group numbers the objects of a file, and joins none.
        {**image, "rows": [{**row, "group": 0} for row in image["rows"]]}
        for image in answer["images"]
        if image["subset"] in lists
    ]
    return compare(folder, source, info, images, _STYLE)


def supervision(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The boxes that supervision finds; it counts first pixels from 1."""
    places = [
        f"{part}{_DEVKIT}/{name}" for part in info.folders for name in ("JPEGImages", "Annotations")
    ]
    answer = read("datumaro", "supervision_boxes", folder, "pascal_voc", *places)
    for image in answer["images"]:
        for row in image["rows"]:
            left, top, w, h = row["box"]
            row["box"] = [left + 1, top + 1, w - 1, h - 1]
    return compare(folder, source, info, answer["images"], _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"datumaro": datumaro, "supervision": supervision}
