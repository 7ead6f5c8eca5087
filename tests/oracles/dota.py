"""DOTA archives, read by Datumaro and line by line as the specification says."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.formats.common.export import ExportInfo
from tests.oracles.areas import areas, corners
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, archive_paths, require

#: Datumaro rounds centre, sides and angle to two decimals: of a long side, that moves corners.
DATUMARO_PX = 0.15
LINES_PX = 1e-4


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The rotated boxes that Datumaro finds."""
    answer = read("datumaro", "datumaro_boxes", folder, "dota")
    found: dict[str, list[Any]] = {}
    for image in answer["images"]:
        rings = [(row["class"], corners(*row["turned"]).tolist()) for row in image["rows"]]
        found[image["path"]] = rings
    require(len(found) == len(answer["images"]) == len(source), f"{len(found)} images")
    return _compare(folder, source, info, found, DATUMARO_PX)


def lines(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The lines as the specification has them: eight coordinates, category, difficult."""
    found: dict[str, list[Any]] = {}
    for place in archive_paths(folder).values():
        split, _, name = place.partition("/images/")
        text = (folder / split / "labelTxt" / name).with_suffix("").as_posix() + ".txt"
        rows = []
        for line in Path(text).read_text(encoding="utf-8").splitlines():
            fields = line.split(" ")
            require(len(fields) == 10 and fields[9] in ("0", "1"), f"{text}: {line!r}")
            numbers = [float(field) for field in fields[:8]]
            ring = list(zip(numbers[::2], numbers[1::2], strict=True))
            rows.append((fields[8], ring))
        found[place] = rows
    labels = list(folder.glob("*/labelTxt/*.txt"))
    require(len(labels) == len(source), f"{len(labels)} label files")
    return _compare(folder, source, info, found, LINES_PX)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"datumaro": datumaro, "specification": lines}


def _compare(
    folder: Path,
    source: Sequence[SourceImage],
    info: ExportInfo,
    found: Mapping[str, Iterable[tuple[str, Any]]],
    tolerance: float,
) -> OracleResult:
    classes = {row["category"]: row["class"] for row in _categories(folder)}
    places = archive_paths(folder)
    count, largest = 0, 0.0
    for image in source:
        place = places[image.path]
        require(place in found, f"{place} was not read")
        top = {"val": "valid"}.get(image.split or "", image.split or "train")
        start = f"{top if info.organize_by_split else 'default'}/images/"
        require(place.startswith(start), f"{place} is not of the split {image.split}")
        expected, rows = list(areas(image, info)), list(found[place])
        require(len(rows) == len(expected), f"{place}: {len(rows)}, not {len(expected)}")
        for area, (category, ring) in zip(expected, rows, strict=True):
            require(classes.get(category) == area.class_name, f"{place}: category {category}")
            # A reader's rounding may carry a corner over the edge.
            error = area.error_of_rectangle(ring, tolerance)
            require(error <= tolerance, f"{place}: {category} is {error} px off")
            largest = max(largest, error)
            count += 1
    return OracleResult(len(source), count, largest)


def _categories(folder: Path) -> Any:
    return json.loads((folder / "categories.json").read_bytes())
