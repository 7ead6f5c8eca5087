"""YOLO: one text file per image, a line per object, coordinates as parts of the image's sides.

Format: Ultralytics, "Datasets" (detect, segment, obb); Darknet's obj.names. A line holds a
class id and
- 4 numbers: centre and sides of a box; behind them a confidence, the id of a tracked object,
  which becomes the attribute `track_id`, or both;
- 8 numbers, in a dataset whose outlines all have 8: the corners of a rotated box;
- 6 or more: the points of an outline.
`rows.py` tells which a row is. A class id is a place in the list of names, from 0, or a key of
the names in data.yaml. An image without a label file is one without objects.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from posixpath import splitext
from typing import Any

from services.catalog.model import DatasetClass
from services.formats.common.annotations import (
    annotation_id,
    bbox,
    has_area,
    number_of,
    oriented_bbox,
    polygon,
)
from services.formats.common.class_list import class_color
from services.formats.common.finder import Annotations, ImageFinder, SourceFile, SourceFolder
from services.formats.common.geometry import Point, bounds
from services.formats.common.plain_values import shown
from services.formats.common.source import (
    ImportFailed,
    ImportIssue,
    Skipped,
    SourceDataset,
    SourceImage,
)
from services.formats.common.split_names import named_by_folder, splits_by_folder
from services.formats.yolo.lines import FARTHEST, lines_of
from services.formats.yolo.names import read_names
from services.formats.yolo.pairing import pair
from services.formats.yolo.rows import Row, Rows

#: The greatest id of a tracked object.
_LARGEST = 2**53
#: Pixels by which corners may miss those of a rectangle: from rounding the parts, and from
#: rounding to pixels before.
_ROUNDING, _SQUARE = 0.1, 1.0


def read(images: ImageFinder, annotations: Annotations) -> SourceDataset[SourceImage]:
    """Reads the labels of the images.

    Args:
        images: the dataset's folder, its `images` folder, or a split's.
        annotations: the folder of the labels, the dataset's folder, or its data.yaml. A
            label file lies below it in the same folders as its image (or those with
            `labels` for `images`, or in `labels`), beside the image, or under its name alone.

    Raises:
        ImportFailed: there is no class list or no label file, or one cannot be read.
    """
    names = read_names(annotations, images.folder)
    root = annotations.folder
    labels, unused = pair(images, root)
    if not labels:
        raise ImportFailed(
            f"{root} has no label file for any image below {images.folder}; "
            "give the folder of the labels."
        )
    rows = Rows()
    unreadable: list[ImportIssue] = []
    passed_over: set[str] = set()
    for path, label in labels.items():
        try:
            rows.add(lines_of(label))
        except ImportFailed as error:
            message = f"{error} Its image {path} is passed over."
            unreadable.append(ImportIssue(label.where, "LABELS_UNREADABLE", message, images=1))
            passed_over.add(path)
    reader = _Reader(images, names.by_id, rows)
    splits = names.splits(images)
    by_folder = {} if splits else splits_by_folder(images.paths)

    def load(path: str) -> SourceImage:
        annotations, issues = reader.read(path, labels[path]) if path in labels else ([], [])
        split = splits.of(path) if splits else by_folder.get(path)
        return SourceImage(path, path, None, split, annotations, issues)

    return SourceDataset(
        classes=[
            DatasetClass(name, rows.class_type(identifier), class_color(index))
            for index, (identifier, name) in enumerate(names.by_id.items())
        ],
        paths=[path for path in images.paths if path not in passed_over],
        load=load,
        issues=[
            *images.issues,
            *(splits.issues if splits else named_by_folder(by_folder, images.folder)),
            *unreadable,
            *_track_ids(rows, root),
            *(_unused(label, images, labels) for label in unused),
        ],
    )


def _track_ids(rows: Rows, root: SourceFolder) -> Iterator[ImportIssue]:
    if rows.track_ids:
        yield ImportIssue(
            str(root),
            "TRACK_IDS",
            f"{rows.track_ids:,} rows end in a whole number, the id of a tracked object; it was "
            "kept as the attribute track_id",
        )


def _unused(
    label: SourceFile, images: ImageFinder, labels: Mapping[str, SourceFile]
) -> ImportIssue:
    try:
        lines = [words for words in lines_of(label) if words]
    except ImportFailed as error:
        return ImportIssue(label.where, "LABELS_UNREADABLE", str(error), images=1)
    if lines and not any(words[0].isdecimal() and len(words) > 4 for words in lines):
        return ImportIssue(label.where, "NO_LABELS", "no line of it is a label; left out")
    stem = splitext(label.where)[0]
    image = images.find_stem(stem)
    if image and image not in labels:
        problem = f"has the name of {image}, but lies in none of the places of its labels"
        return ImportIssue(
            label.where,
            "LABELS_ELSEWHERE",
            f"{problem}; skipped with {len(lines)} lines",
            annotations=len(lines),
        )
    return images.missing(label.where, (stem,), len(lines), "lines")


class _Reader:
    """Reads label files."""

    def __init__(self, images: ImageFinder, names: dict[int, str], rows: Rows) -> None:
        self._images = images
        self._names = names
        self._rows = rows

    def read(self, path: str, label: SourceFile) -> tuple[list[dict[str, Any]], list[ImportIssue]]:
        """The annotations of one image, and what was skipped or repaired."""
        lines = [(number, words) for number, words in enumerate(lines_of(label), 1) if words]
        if not lines:
            return [], []
        size = self._images.size(path)
        if size is None:
            problem = "its size cannot be read, so that its labels were left out"
            return [], [ImportIssue(path, "IMAGE_UNREADABLE", problem, annotations=len(lines))]
        annotations: list[dict[str, Any]] = []
        issues: list[ImportIssue] = []
        for number, words in lines:
            item = f"{label.where}, line {number}"
            try:
                annotation, issue = self._annotation(
                    annotation_id(path, "yolo", number), words, size
                )
            except Skipped as skipped:
                issues.append(skipped.issue(item))
                continue
            annotations.append(annotation)
            if issue:
                issues.append(ImportIssue(item, *issue))
        return annotations, issues

    def _annotation(
        self, identifier: str, words: list[str], size: tuple[int, int]
    ) -> tuple[dict[str, Any], tuple[str, str] | None]:
        """One line as an annotation, with reason and message of a repair."""
        name = self._name(words[0])
        numbers = _numbers(words[1:])
        row = self._rows.kind(words)
        if row is not Row.points:
            annotation = _box(identifier, name, row, numbers, size)
            repair = None
            if row is Row.box_and_more:
                message = f"{words[5]} may be a confidence or a track id; it was left out"
                repair = ("LAST_NUMBER_LEFT_OUT", message)
            return annotation, repair
        _check_parts(numbers)
        width, height = size
        points = [(x * width, y * height) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        if len(points) != 4 or not self._rows.are_rotated:
            return _outline(identifier, name, points), None
        center, sides, angle, miss = _rectangle(points)
        if min(sides) <= 0:
            raise Skipped("BOX_WITHOUT_AREA", f"the box is {sides[0]:g} by {sides[1]:g} pixels")
        if miss > _SQUARE:
            return _outline(identifier, name, points), (
                "CORNERS_NOT_SQUARE",
                f"the corners miss a rectangle by {miss:.2f} pixels; a polygon was made of them",
            )
        repair = None
        if miss > _ROUNDING:
            repair = ("CORNERS_SQUARED", f"the corners missed a rectangle by {miss:.2f} pixels")
        return oriented_bbox(identifier, name, center, sides, angle), repair

    def _name(self, word: str) -> str:
        number = number_of(word)
        if not number.is_integer():
            raise Skipped("LINE_UNREADABLE", f"{shown(word)} is no class id")
        if int(number) not in self._names:
            what = shown(word)
            raise Skipped("CLASS_OUT_OF_RANGE", f"class id {what} is not in the list of names")
        return self._names[int(number)]


def _box(
    identifier: str, name: str, row: Row, numbers: list[float], size: tuple[int, int]
) -> dict[str, Any]:
    _check_parts(numbers[:4])
    width, height = size
    w, h = numbers[2] * width, numbers[3] * height
    box = numbers[0] * width - w / 2, numbers[1] * height - h / 2, w, h
    confidence = numbers[4] if row in (Row.sure_box, Row.sure_tracked_box) else 1.0
    if not 0 <= confidence <= 1:
        raise Skipped("LINE_UNREADABLE", f"the confidence {confidence:g} is not 0 to 1")
    if not has_area(box):
        raise Skipped("BOX_WITHOUT_AREA", f"the box is {w:g} by {h:g} pixels")
    attributes = {}
    if row in (Row.tracked_box, Row.sure_tracked_box):
        attributes = {"track_id": int(numbers[-1])}
    return bbox(identifier, name, box, attributes, confidence)


def _outline(identifier: str, name: str, points: list[Point]) -> dict[str, Any]:
    if len(set(points)) < 3 or min(bounds([points])[2:]) <= 0:
        raise Skipped("OUTLINE_WITHOUT_AREA", "the points of the outline lie on a line")
    return polygon(identifier, name, [points])


def _numbers(words: list[str]) -> list[float]:
    numbers = [number_of(word) for word in words]
    for number, word in zip(numbers, words, strict=True):
        if not math.isfinite(number) or abs(number) > _LARGEST:
            raise Skipped("LINE_UNREADABLE", f"{shown(word)} is not a number that can be")
    return numbers


def _check_parts(numbers: Sequence[float]) -> None:
    for number in numbers:
        if abs(number) > FARTHEST:
            raise Skipped(
                "NOT_NORMALIZED",
                f"{number:g} is no part of a side; divide by the image's width or height",
            )


def _rectangle(corners: Sequence[Point]) -> tuple[Point, tuple[float, float], float, float]:
    """The rectangle nearest to four corners in turn: centre, sides, degrees clockwise, and
    by how many pixels a corner misses it at most. The first side runs along the angle."""
    a, b, c, d = (complex(x, y) for x, y in corners)
    right, down = (b - a + c - d) / 2, (d - a + c - b) / 2
    if (right.conjugate() * down).imag < 0:
        b, d, right, down = d, b, down, right
    center = (a + b + c + d) / 4
    w, h = abs(right), abs(down)
    along = right / w if w else 1
    ideal = [
        center + along * complex(x * w / 2, y * h / 2)
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    miss = max(abs(one - two) for one, two in zip((a, b, c, d), ideal, strict=True))
    angle = math.degrees(math.atan2(along.imag, along.real))
    return (center.real, center.imag), (w, h), angle, miss
