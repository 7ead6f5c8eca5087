"""CSV archives, read by pandas."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, require
from tests.oracles.shapes import Style, compare

_STYLE = Style(tolerance=1e-6, turned="turned", poses="joints")


def pandas(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every row, by its geometry; the box columns of boxes say the same."""
    roots = (part or "." for part in info.folders)
    answer = read("datumaro", "pandas_rows", folder, *roots)
    ids = {c.name: str(number) for number, c in enumerate(info.selected_classes)}
    images = []
    for image in answer["images"]:
        for line in image["rows"]:
            require(line["class_id"] == ids.get(line["class"], ""), f"class id {line['class_id']}")
        images.append({**image, "rows": [_row(line) for line in image["rows"]]})
    return compare(folder, source, info, images, _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"pandas": pandas}


def _row(line: Mapping[str, str]) -> dict[str, Any]:
    shape = json.loads(line["geometry"])
    row: dict[str, Any] = {"class": line["class"]}
    if line["type"] == "polygon":
        rings = [_points(path) for path in shape["polygon"]["paths"]]
        return row | {"kind": "ring", "rings": rings}
    if line["type"] == "polyline":
        return row | {"kind": "line", "points": _points(shape["polyline"]["path"])}
    if line["type"] == "keypoint":
        return row | {"kind": "points", "points": _points([shape["keypoint"]])}
    if line["rotation"] and float(line["rotation"]):
        turned = shape["oriented_box"]
        values = [turned[key] for key in ("cx", "cy", "w", "h", "angle")]
        return row | {"kind": "turned", "turned": values}
    left, top, right, bottom = (float(line[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
    return row | {"kind": "box", "box": [left, top, right - left, bottom - top]}


def _points(points: Sequence[Mapping[str, float]]) -> list[list[float]]:
    return [[point["x"], point["y"]] for point in points]
