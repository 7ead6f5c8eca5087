"""COCO: one JSON document with images, categories and annotations.

Format: cocodataset.org, "Data format". Boxes and outlines are taken over number by number.
One annotation becomes one polygon, whose rings nest even-odd; COCO means the union of its
rings, which is the same where they do not overlap. Masks become outlines along the edges of
their pixels. Poses follow the convention of the official SDK: one keypoint per labelled
joint, named after the joint, those of one object under one `instance_id`; the category is a
class with the skeleton, followed by a class for every joint; an occluded joint (v = 1)
carries the attribute `occluded`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.formats.coco.categories import Category, Id, dataset_classes, read_categories
from services.formats.coco.document import CocoDocument
from services.formats.coco.documents import read_documents
from services.formats.coco.fields import left_out, own_attributes
from services.formats.coco.matching import ListedImage, match
from services.formats.coco.repeats import leave_out_repeats
from services.formats.coco.segmentation import rings_of
from services.formats.coco.values import flag, identifier, kind, numbers
from services.formats.common.annotations import (
    annotation_id,
    are_parts,
    bbox,
    has_area,
    keypoint,
    number_of,
    polygon,
)
from services.formats.common.finder import Annotations, ImageFinder
from services.formats.common.geometry import Box, Point, bounds
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportIssue, SourceDataset, SourceImage

_FLAGS = _NOT_LABELLED, _OCCLUDED, _ = 0, 1, 2
#: Pixels by which a box may differ from the joints it was made from.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Joint:
    """A labelled joint."""

    place: int
    at: Point
    occluded: bool
    #: Its own; None: that of the object.
    confidence: float | None = None


def read(images: ImageFinder, annotations: Annotations) -> SourceDataset[SourceImage]:
    """Reads COCO documents; `annotations` is one, or a folder with those of all splits.

    Raises:
        ImportFailed: there is no such document, or it has no usable list of categories.
    """
    documents, left = read_documents(annotations)
    categories, joined = read_categories(documents)
    found, unmatched = match(documents, images)
    repeated = leave_out_repeats(found.values(), categories, documents)

    def rows() -> Iterator[tuple[Category, dict[str, Any]]]:
        for image in found.values():
            for position, row in image.annotations:
                category = _category(row, categories[position])
                if category is not None:
                    yield category, row

    # A document is in pixels or not as a whole.
    parts = [are_parts(_boxes(document)) for document in documents]
    return SourceDataset(
        classes=dataset_classes(categories, rows()),
        paths=sorted(found),
        load=lambda path: _Reader(path, found[path], categories, images, parts).image(),
        issues=[*left, *joined, *unmatched, *repeated, *left_out(documents)],
    )


def _boxes(document: CocoDocument) -> Iterator[list[float]]:
    """Every box that is numbers."""
    for row in document.annotations:
        if isinstance(row, dict) and (box := numbers(row.get("bbox"))) and any(box):
            yield box


def _category(row: dict[str, Any], categories: dict[Id, Category]) -> Category | None:
    key = row.get("category_id")
    key = key if type(key) is int else identifier(key)
    return None if key is None else categories.get(key)


class _Reader:
    """Reads the annotations of one image."""

    def __init__(
        self,
        path: str,
        image: ListedImage,
        categories: list[dict[Id, Category]],
        images: ImageFinder,
        parts: list[bool],
    ) -> None:
        self._parts = parts
        self._path = path
        self._image = image
        self._categories = categories
        self._images = images
        self._instances = 0
        self._seen: Counter[str] = Counter()
        self._issues: list[ImportIssue] = []
        self._row = ""

    def image(self) -> SourceImage:
        """The image with its annotations in the order of the documents."""
        annotations = [part for row in self._image.annotations for part in self._read(*row)]
        return SourceImage(
            self._path,
            self._path,
            split=self._image.split,
            annotations=annotations,
            issues=self._issues,
            declared=self._image.size,
        )

    def _name(self, reason: str, message: str, annotations: int = 0, changed: int = 0) -> None:
        item = f"{self._path}, annotation {self._row}"
        issue = ImportIssue(item, reason, message, annotations=annotations, changed=changed)
        self._issues.append(issue)

    def _read(self, position: int, row: dict[str, Any]) -> list[dict[str, Any]]:
        identity = str(identifier(row.get("id")))
        self._row = identity[:60]
        self._seen[identity] += 1
        key = (self._path, "coco", identity, self._seen[identity])
        category = _category(row, self._categories[position])
        if category is None:
            what = shown(row.get("category_id"))
            self._name("CLASS_UNKNOWN", f"category id {what} is not in the list; skipped", 1)
            return []
        if self._parts[position]:
            self._name(
                "NOT_PIXELS",
                "all boxes lie between 0 and 1, as parts of the sides do, and must be in pixels; "
                "skipped",
                1,
            )
            return []
        confidence = self._confidence(row)
        attributes = self._attributes(row)
        box = self._box(row)
        points = self._points(row, category)
        if points:
            self._name_what_poses_lose(row, category, position, box, points)
            return self._joints(key, category, points, confidence, attributes)
        rings = self._rings(row.get("segmentation"), box)
        identifier_ = annotation_id(*key)
        if rings:
            return [polygon(identifier_, category.name, rings, box, attributes, confidence)]
        if box:
            return [bbox(identifier_, category.name, box, attributes, confidence)]
        self._name("BOX_WITHOUT_AREA", f"{_box_problem(row.get('bbox'))}; skipped", 1)
        return []

    def _rings(self, segmentation: Any, box: Box | None) -> list[list[Point]]:
        """The outline; what of it is lost is named, and is a change where the rest comes in."""
        found: list[tuple[str, str, bool]] = []

        def name(reason: str, message: str, is_loss: bool = True) -> None:
            found.append((reason, message, is_loss))

        rings = rings_of(segmentation, self._size, name)
        is_changed = bool(rings or box)
        for reason, message, is_loss in found:
            self._name(reason, message, changed=int(is_changed and is_loss))
            # Each annotation once.
            is_changed = is_changed and not is_loss
        return rings

    def _size(self) -> tuple[int, int] | None:
        """What the document says, else the file."""
        return self._image.size or self._images.size(self._path)

    def _confidence(self, row: dict[str, Any]) -> float:
        score = row.get("score")
        if score is None:
            return 1.0
        number = number_of(score) if isinstance(score, str) else score
        if type(number) in (int, float) and 0 <= number <= 1:
            return float(number)
        self._name("SCORE_OUT_OF_RANGE", f"score {shown(score)} is not from 0 to 1; 1 was taken")
        return 1.0

    def _attributes(self, row: dict[str, Any]) -> dict[str, Any]:
        given = row.get("attributes") or {}
        if not isinstance(given, dict):
            problem = f"attributes is {kind(given)}, and must be an object; left out"
            self._name("ATTRIBUTES_UNREADABLE", problem)
            given = {}
        if given and not is_storable(given):
            kept = {key: given[key] for key in given if is_storable({key: given[key]})}
            names = ", ".join(shown(key) for key in [*(given.keys() - kept.keys())][:3])
            self._name(
                "ATTRIBUTES_UNREADABLE",
                f"{len(given) - len(kept)} attributes cannot be stored (no UTF-8, no finite "
                f"number, or nested too deep): {names}; left out",
            )
            given = kept
        attributes = {**own_attributes(row), **given}
        return {**attributes, "iscrowd": "true"} if flag(row.get("iscrowd")) else attributes

    def _box(self, row: dict[str, Any]) -> Box | None:
        """The box, where it has an area."""
        found = numbers(row.get("bbox"))
        if found and len(found) == 4:
            x, y, w, h = found
            if has_area((x, y, w, h)):
                return x, y, w, h
        return None

    def _points(self, row: dict[str, Any], category: Category) -> list[_Joint]:
        """The labelled joints."""
        flat = row.get("keypoints")
        if not flat:
            return []
        found = numbers(flat)
        expected = 3 * len(category.joints)
        if not found or len(found) % 3 or (category.is_pose and len(found) != expected):
            self._name(
                "KEYPOINTS_UNREADABLE",
                f"keypoints must be x, y, v for each of {len(category.joints)} joints; left out",
            )
            return []
        flags = found[2::3]
        odd = next((flag for flag in flags if flag not in _FLAGS), None)
        are_scores = odd is not None and all(0 <= flag <= 1 for flag in flags)
        if odd is not None:
            taken = "the confidences of visible joints" if are_scores else "those of visible joints"
            self._name(
                "VISIBILITY_UNREADABLE",
                f"visibility {odd:g} is none of 0, 1, 2; such were taken for {taken}",
            )
        triplets = zip(found[::3], found[1::3], flags, strict=True)
        return [
            _Joint(place, (x, y), False, v) if are_scores else _Joint(place, (x, y), v == _OCCLUDED)
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
                confidence if point.confidence is None else point.confidence,
            )
            for point in points
        ]

    def _name_what_poses_lose(
        self,
        row: dict[str, Any],
        category: Category,
        position: int,
        box: Box | None,
        points: list[_Joint],
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
            for other in self._categories[position].values()
            if other.is_pose
        }
        best = max(hits, key=hits.__getitem__)
        if best != category.name:
            self._name(
                "POSE_AMBIGUOUS",
                f"its joints fit {best!r} as well as {category.name!r}, and exports will take "
                f"{best!r}; give the joints of each category names of their own",
            )


def _box_problem(value: Any) -> str:
    if not isinstance(value, list):
        return f"bbox is {kind(value)}, and must be a list of 4 numbers"
    if len(value) == 4 and numbers(value) is None:
        wrong = next(item for item in value if numbers([item]) is None)
        return f"bbox holds {kind(wrong)} that is no finite number"
    if len(value) != 4:
        turned = "; rotated boxes are read from VOC and YOLO" if len(value) == 5 else ""
        return f"bbox has {len(value)} numbers, and must be x, y, width, height{turned}"
    found = numbers(value) or []
    if len(found) == 4 and min(found[2:]) > 0:
        return f"bbox reaches farther than numbers do: {shown(value)}"
    return f"bbox is {shown(value)}"
