"""YOLO archives, read by Ultralytics, Datumaro and supervision, and row by row as the
documentation says: these readers take single precision, and see no digit behind it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from services.formats.common.export import ExportInfo
from tests.oracles.areas import Area, areas
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, archive_paths, require
from tests.oracles.poses import poses

#: Pixels that a reader's own rounding may add: single precision, two decimals, whole pixels.
ULTRALYTICS_PX = 0.001
DATUMARO_PX = 0.02
SUPERVISION_PX = 1.0
#: Of the rows themselves, at any size of an image.
ROWS_PX = 1e-4

#: Where an image of a split lies, with and without split folders.
_FOLDERS = {
    True: {"train": "train/images/", "val": "valid/images/", "test": "test/images/"},
    False: {"train": "images/train/", "val": "images/val/", "test": "images/test/"},
}


def ultralytics(
    format_: str, folder: Path, source: Sequence[SourceImage], info: ExportInfo
) -> OracleResult:
    """What a training with Ultralytics would load."""
    answer = read("ultralytics", "ultralytics_labels", folder, _task(format_, info))
    names = [c.name for c in info.selected_classes]
    require(answer["names"] == names, f"classes {answer['names']}, not {names}")
    by_path = _by_path(folder, source, answer, info)
    if format_ == "yolo_pose":
        return _poses(by_path, source, answer, info)
    return _areas(by_path, source, info, format_, ULTRALYTICS_PX)


def supervision(
    format_: str, folder: Path, source: Sequence[SourceImage], info: ExportInfo
) -> OracleResult:
    """The boxes that supervision finds."""
    answer = read("datumaro", "supervision_yolo", folder, _task(format_, info))
    by_path = _by_path(folder, source, answer, info)
    return _areas(by_path, source, info, format_, SUPERVISION_PX)


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The boxes that Datumaro finds; it reads no polygons of YOLO."""
    name = "roboflow_yolo" if info.organize_by_split else "yolo"
    answer = read("datumaro", "datumaro_boxes", folder, name)
    by_path = _by_path(folder, source, answer, info)
    return _areas(by_path, source, info, "yolo", DATUMARO_PX)


def rows(
    format_: str, folder: Path, source: Sequence[SourceImage], info: ExportInfo
) -> OracleResult:
    """The rows of the label files, as text."""
    names = [c.name for c in info.selected_classes]
    places = archive_paths(folder)
    found = {}
    for image in source:
        first, _, name = places[image.path].rpartition("images/")
        label = (folder / f"{first}labels/{name}").with_suffix(".txt")
        lines = label.read_text(encoding="utf-8").splitlines()
        found[image.path] = [_row(line, names, image) for line in lines]
    return _areas(found, source, info, format_, ROWS_PX)


def _row(line: str, names: Sequence[str], image: SourceImage) -> dict[str, Any]:
    first, *words = line.split(" ")
    numbers = np.array(words, dtype=np.float64).reshape(-1, 2) * (image.width, image.height)
    if len(words) > 4:
        return {"class": names[int(first)], "ring": numbers.tolist()}
    (x, y), (w, h) = numbers.tolist()
    return {"class": names[int(first)], "box": [x - w / 2, y - h / 2, w, h]}


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the export's format, by name."""
    found: dict[str, Check] = {"ultralytics": partial(ultralytics, info.format)}
    if info.format != "yolo_pose":
        found["supervision"] = partial(supervision, info.format)
        found["specification"] = partial(rows, info.format)
    if _task(info.format, info) == "detect":
        found["datumaro"] = datumaro
    return found


def _task(format_: str, info: ExportInfo) -> str:
    if format_ != "yolo":
        return format_.removeprefix("yolo_")
    return "segment" if "polygon" in {c.type for c in info.selected_classes} else "detect"


def _by_path(
    folder: Path, source: Sequence[SourceImage], answer: Any, info: ExportInfo
) -> dict[str, list[Any]]:
    """What the reader found on each image of the source; every image, each in its split."""
    found = {image["path"]: image for image in answer["images"]}
    places = archive_paths(folder)
    require(len(answer["images"]) == len(found) == len(source), f"{len(found)} images")
    rows = {}
    for image in source:
        place = places[image.path]
        require(place in found, f"{place} was not read")
        start = _FOLDERS[info.organize_by_split][image.split or "train"]
        require(place.startswith(start), f"{place} is not of the split {image.split}")
        size = found[place].get("size", [image.width, image.height])
        require(size == [image.width, image.height], f"{place} has {size} pixels")
        rows[image.path] = found[place]["rows"]
    return rows


def _areas(
    by_path: dict[str, list[Any]],
    source: Sequence[SourceImage],
    info: ExportInfo,
    format_: str,
    tolerance: float,
) -> OracleResult:
    count, largest = 0, 0.0
    for image in source:
        expected = _unique(areas(image, info))
        rows = by_path[image.path]
        require(len(rows) == len(expected), f"{image.path}: {len(rows)}, not {len(expected)}")
        for area, row in zip(expected, rows, strict=True):
            require(row["class"] == area.class_name, f"{image.path}: class {row['class']}")
            error = _error(area, row, format_)
            require(error <= tolerance, f"{image.path}: {area.class_name} is {error} px off")
            largest = max(largest, error)
            count += 1
    return OracleResult(len(source), count, largest)


def _error(area: Area, row: Any, format_: str) -> float:
    if "ring" not in row:
        # A shape that is cut, or a polygon's rectangle, has another box around it.
        comparable = area.is_inside and (area.is_box or format_ == "yolo")
        return area.error_of_box(row["box"]) if comparable else 0.0
    if format_ == "yolo_obb":
        return area.error_of_rectangle(row["ring"])
    return area.error_of_ring(row["ring"])


def _unique(found: Any) -> list[Area]:
    """Without those that are the same to the last digit of a label: they are written once."""
    kept: dict[Any, Area] = {}
    for area in found:
        digits = max(6, len(str(15_000 * max(area.width, area.height))))
        parts = [
            np.round(ring / (area.width, area.height), digits).tobytes() for ring in area.rings
        ]
        kept.setdefault((area.class_name, *parts), area)
    return list(kept.values())


def _poses(
    by_path: dict[str, list[Any]], source: Sequence[SourceImage], answer: Any, info: ExportInfo
) -> OracleResult:
    templates = [c.skeleton.nodes for c in info.selected_classes if c.skeleton]
    most = max(map(len, templates), default=1)
    require(answer["kpt_shape"] == [most, 3], f"kpt_shape is {answer['kpt_shape']}")
    if flips := answer["flip_idx"]:
        require(sorted(flips) == list(range(most)), f"flip_idx is {flips}")
        require(all(flips[flips[i]] == i for i in range(most)), f"flip_idx is {flips}")
    count, largest = 0, 0.0
    for image in source:
        expected = poses(image, info)
        rows = by_path[image.path]
        require(len(rows) == len(expected), f"{image.path}: {len(rows)}, not {len(expected)}")
        for (name, joints), row in zip(expected, rows, strict=True):
            require(row["class"] == name, f"{image.path}: class {row['class']}")
            wanted = np.zeros((most, 3))
            wanted[: len(joints)] = joints
            placed = wanted[:, 2] > 0
            wanted[:, :2] = np.clip(wanted[:, :2], 0, (image.width, image.height))
            seen = np.asarray(row["joints"], dtype=np.float64)
            require(bool((seen[:, 2] == wanted[:, 2]).all()), f"{image.path}: visibilities")
            error = float(np.abs(seen - wanted).max())
            require(error <= ULTRALYTICS_PX, f"{image.path}: a joint of {name} is {error} px off")
            left, top, w, h = row["box"]
            x, y = wanted[placed, :2].T
            slack = ULTRALYTICS_PX
            around = left - slack <= x.min() and x.max() <= left + w + slack
            around &= top - slack <= y.min() and y.max() <= top + h + slack
            require(bool(around) and min(w, h) > 0, f"{image.path}: {name} is not in its box")
            largest = max(largest, error)
            count += 1
    return OracleResult(len(source), count, largest)
