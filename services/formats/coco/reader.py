"""COCO: one JSON document with images, categories and annotations.

Format: cocodataset.org, "Data format". Boxes and outlines are taken over number by number.
One annotation becomes one polygon, whose rings nest even-odd; COCO means the union of its
rings, which is the same where they do not overlap. Masks become outlines along the edges of
their pixels. Poses follow the convention of the official SDK: one keypoint per labelled
joint, named after the joint, those of one object under one `instance_id`; the category is a
class with the skeleton, followed by a class for every joint; an occluded joint (v = 1)
carries the attribute `occluded`.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from services.formats.coco.categories import Category, dataset_classes, read_categories
from services.formats.coco.matching import ListedImage, match
from services.formats.common.annotations import annotation_id, bbox, has_area, keypoint, polygon
from services.formats.common.finder import Annotations, ImageFinder, SourceFile
from services.formats.common.geometry import Box, Point, bounds
from services.formats.common.rings import MaskError, decode_runs, outline, overlap, union_outline
from services.formats.common.source import ImportFailed, ImportIssue, SourceDataset, SourceImage
from services.formats.common.source_files import content_of

_NOT_LABELLED, _VISIBLE = 0, 2
#: Pixels by which a box may differ from the joints it was made from.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Joint:
    """A labelled joint."""

    place: int
    at: Point
    occluded: bool


def read(images: ImageFinder, annotations: Annotations) -> SourceDataset[SourceImage]:
    """Reads a COCO document; `annotations` is its file, or a folder with this one JSON file.

    Raises:
        ImportFailed: there is no such document, or it has no usable list of categories.
    """
    file = _document_file(annotations)
    document = _load(file)
    categories = read_categories(document, str(file))
    found, issues = match(document, images, file.folder)
    rows = (row for image in found.values() for row in image.annotations)
    return SourceDataset(
        classes=dataset_classes(categories, rows),
        paths=sorted(found),
        load=lambda path: _Reader(path, found[path], categories).image(),
        issues=issues,
    )


def _document_file(annotations: Annotations) -> SourceFile:
    if annotations.file:
        return annotations.file
    files = annotations.folder.files(".json")
    if len(files) != 1:
        names = ", ".join(file.where for file in files) or "none"
        raise ImportFailed(
            f"{annotations} must hold one JSON file, or give the file itself; found: {names}."
        )
    return files[0]


def _load(file: SourceFile) -> dict[str, Any]:
    content = content_of(file)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        # Python writes NaN and a byte order mark without a word; both are met in the wild.
        try:
            document = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ImportFailed(f"{file} is not JSON in UTF-8: {error}.") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise ImportFailed(f"{file} is no COCO document: it needs a list {key!r} at the top.")
    return dict(document)


class _Reader:
    """Reads the annotations of one image."""

    def __init__(self, path: str, image: ListedImage, categories: dict[int, Category]) -> None:
        self._path = path
        self._image = image
        self._categories = categories
        self._instances = 0
        self._seen: Counter[str] = Counter()
        self._issues: list[ImportIssue] = []
        self._row = ""

    def image(self) -> SourceImage:
        """The image with its annotations in the order of the document."""
        annotations = [part for row in self._image.annotations for part in self._read(row)]
        return SourceImage(self._path, self._path, annotations=annotations, issues=self._issues)

    def _name(self, reason: str, message: str) -> None:
        self._issues.append(ImportIssue(f"{self._path}, annotation {self._row}", reason, message))

    def _read(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        self._row = str(row.get("id"))
        self._seen[self._row] += 1
        key = (self._path, "coco", self._row, self._seen[self._row])
        category_id = row.get("category_id")
        category = self._categories.get(category_id) if type(category_id) is int else None
        if category is None:
            self._name("CLASS_UNKNOWN", f"category id {category_id} is not in the list; skipped")
            return []
        confidence = self._confidence(row)
        attributes = self._attributes(row)
        box = self._box(row)
        points = self._points(row, category)
        if points:
            self._name_what_poses_lose(row, category, box, points)
            return self._joints(key, category, points, confidence, attributes)
        rings = self._rings(row)
        identifier = annotation_id(*key)
        if rings:
            return [polygon(identifier, category.name, rings, box, attributes, confidence)]
        if box:
            return [bbox(identifier, category.name, box, attributes, confidence)]
        self._name("BOX_WITHOUT_AREA", f"bbox is {row.get('bbox')}; skipped")
        return []

    def _confidence(self, row: dict[str, Any]) -> float:
        score = row.get("score", 1.0)
        if type(score) in (int, float) and 0 <= score <= 1:
            return float(score)
        self._name("SCORE_OUT_OF_RANGE", f"score {score} is not from 0 to 1; 1 was taken")
        return 1.0

    def _attributes(self, row: dict[str, Any]) -> dict[str, Any]:
        attributes = row.get("attributes") or {}
        if not isinstance(attributes, dict):
            self._name("ATTRIBUTES_UNREADABLE", "attributes must be an object; they were left out")
            attributes = {}
        return {**attributes, "iscrowd": "true"} if row.get("iscrowd") in (1, "1") else attributes

    def _box(self, row: dict[str, Any]) -> Box | None:
        """The box, where it has an area."""
        numbers = _numbers(row.get("bbox"))
        if numbers and len(numbers) == 4:
            x, y, w, h = numbers
            if has_area((x, y, w, h)):
                return x, y, w, h
        return None

    def _points(self, row: dict[str, Any], category: Category) -> list[_Joint]:
        """The labelled joints."""
        flat = row.get("keypoints")
        if not flat:
            return []
        numbers = _numbers(flat)
        if not numbers or len(numbers) % 3 or len(numbers) < 3 * len(category.joints):
            self._name(
                "KEYPOINTS_UNREADABLE",
                f"keypoints must be x, y, v for each of {len(category.joints)} joints; left out",
            )
            return []
        triplets = [numbers[index : index + 3] for index in range(0, len(numbers), 3)]
        return [
            _Joint(place, (x, y), v < _VISIBLE)
            for place, (x, y, v) in enumerate(triplets)
            if v > _NOT_LABELLED
        ]

    def _joints(
        self,
        key: tuple[object, ...],
        category: Category,
        points: list[_Joint],
        confidence: float,
        attributes: dict[str, Any],
    ) -> list[dict[str, Any]]:
        # Every joint says for itself whether it is hidden.
        shared = {name: value for name, value in attributes.items() if name != "occluded"}
        instance = None
        if category.is_pose or len(points) > 1:
            self._instances += 1
            instance = self._instances
        return [
            keypoint(
                annotation_id(*key, point.place),
                category.joint(point.place),
                point.at,
                instance,
                {**shared, "occluded": "true"} if point.occluded else shared,
                confidence,
            )
            for point in points
        ]

    def _name_what_poses_lose(
        self, row: dict[str, Any], category: Category, box: Box | None, points: list[_Joint]
    ) -> None:
        own = bounds([[point.at for point in points]])
        if row.get("segmentation") or (
            box and any(abs(a - b) > _ROUNDING for a, b in zip(box, own, strict=True))
        ):
            self._name("SHAPE_OF_POSE", "a pose is its joints alone; box and outline were left out")
        if not category.is_pose:
            return
        joints = {category.joint(point.place) for point in points}
        hits = {
            other.name: len(joints.intersection(other.joints))
            for other in self._categories.values()
            if other.is_pose
        }
        best = max(hits, key=hits.__getitem__)
        if best != category.name:
            self._name(
                "POSE_AMBIGUOUS",
                f"its joints fit {best!r} as well as {category.name!r}, and exports will take "
                f"{best!r}; give the joints of each category names of their own",
            )

    def _rings(self, row: dict[str, Any]) -> list[list[Point]]:
        """The outline, even-odd; empty where there is none."""
        segmentation = row.get("segmentation")
        if not segmentation:
            return []
        try:
            if isinstance(segmentation, dict):
                return self._mask_rings(segmentation)
            return self._plain_rings(segmentation)
        except MaskError as error:
            self._name("MASK_UNREADABLE", f"{error}; the mask was left out")
            return []

    def _mask_rings(self, segmentation: dict[str, Any]) -> list[list[Point]]:
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if (
            not isinstance(size, list)
            or [type(side) for side in size] != [int, int]
            or not isinstance(counts, list | str)
        ):
            raise MaskError("a mask needs a size [height, width] and counts")
        known = [self._image.height, self._image.width]
        if None not in known and size != known:
            raise MaskError(f"its size [height, width] is {size}, the image's {known}")
        rings = outline(decode_runs(size[0], size[1], counts))
        if not rings:
            self._name("MASK_EMPTY", "no pixel is set; the mask was left out")
        return rings

    def _plain_rings(self, segmentation: Any) -> list[list[Point]]:
        rings: list[list[Point]] = []
        for index, flat in enumerate(segmentation if isinstance(segmentation, list) else [None]):
            numbers = _numbers(flat)
            if numbers and len(numbers) >= 6 and len(numbers) % 2 == 0:
                rings.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
            else:
                self._name(
                    "RING_UNREADABLE",
                    f"ring {index} must be x, y of at least 3 points; the ring was left out",
                )
        if len(rings) > 1 and overlap(rings):
            union = union_outline(rings)
            if union:
                self._name(
                    "RINGS_OVERLAP",
                    "COCO means the union of rings that overlap; "
                    "its outline along the edges of pixels was taken",
                )
                return union
        return rings


def _numbers(value: Any) -> list[float] | None:
    """A list of finite numbers as such; None: it is anything else."""
    if not isinstance(value, list):
        return None
    if not all(type(number) in (int, float) and math.isfinite(number) for number in value):
        return None
    return list(map(float, value))
