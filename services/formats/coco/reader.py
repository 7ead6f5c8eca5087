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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from services.catalog.model import DatasetClass, Skeleton, SkeletonNode
from services.formats.common.rings import MaskError, decode_runs, outline, overlap, union_outline
from services.formats.common.source import (
    Box,
    ImportFailed,
    ImportIssue,
    ImportItem,
    ImportSource,
    Point,
    annotation_id,
    bbox,
    checked_names,
    class_color,
    enclosure,
    has_area,
    keypoint,
    polygon,
)
from services.importing.image_folder import ImageFolder

_NOT_LABELLED, _VISIBLE = 0, 2
#: Pixels by which a box may differ from the joints it was made from.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class _Category:
    name: str
    #: Joint names in the order of the triplets; empty without a pose.
    joints: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    @property
    def is_pose(self) -> bool:
        """Whether it has joints with names of their own."""
        return len(self.joints) > 1

    def joint(self, place: int) -> str:
        """The class of the joint at a place of the triplets."""
        return self.joints[place] if self.is_pose and place < len(self.joints) else self.name


@dataclass(frozen=True, slots=True)
class _Joint:
    """A labelled joint."""

    place: int
    at: Point
    occluded: bool


@dataclass(slots=True)
class _Image:
    """What the document says about one image file."""

    width: Any = None
    height: Any = None
    annotations: list[Any] = field(default_factory=list)


def read(images: ImageFolder, annotations: Path) -> ImportSource:
    """Reads a COCO document; `annotations` is its file, or a folder with this one JSON file.

    Raises:
        ImportFailed: there is no such document, or it has no usable list of categories.
    """
    file = _document_file(annotations)
    document = _load(file)
    categories = _categories(document, file)
    found, issues = _match(document, images)
    return ImportSource(
        classes=_classes(categories, found.values()),
        paths=sorted(found),
        load=lambda path: _Reader(path, found[path], categories).item(images.file(path)),
        issues=issues,
    )


def _document_file(annotations: Path) -> Path:
    if not annotations.is_dir():
        return annotations
    files = sorted(annotations.glob("*.json"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise ImportFailed(
            f"{annotations} must hold one JSON file, or give the file itself; found: {names}."
        )
    return files[0]


def _load(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportFailed(f"{file} cannot be read: {error.strerror}.") from None
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


def _categories(document: dict[str, Any], file: Path) -> dict[int, _Category]:
    """Categories by id, in the order of their ids."""
    rows: dict[int, dict[str, Any]] = {}
    for row in document["categories"]:
        if (
            not isinstance(row, dict)
            or type(row.get("id")) is not int
            or not isinstance(row.get("name"), str)
        ):
            raise ImportFailed(f"{file}: each category needs a whole number id and a name.")
        if row["id"] in rows:
            raise ImportFailed(f"{file}: category id {row['id']} is there twice; make ids unique.")
        rows[row["id"]] = row
    if not rows:
        raise ImportFailed(f"{file} has no categories; add one for each class.")
    checked_names([rows[key]["name"] for key in sorted(rows)], str(file))
    return {key: _category(rows[key], file) for key in sorted(rows)}


def _category(row: dict[str, Any], file: Path) -> _Category:
    joints = row.get("keypoints") or []
    where = f"{file}, keypoints of category {row['name']!r}"
    if not isinstance(joints, list) or not all(isinstance(joint, str) for joint in joints):
        raise ImportFailed(f"{where}: must be a list of names.")
    edges = row.get("skeleton") or []
    if not isinstance(edges, list):
        raise ImportFailed(f"{where}: the skeleton must be a list of pairs.")
    return _Category(
        row["name"],
        tuple(checked_names(joints, where)),
        # COCO counts joints from 1.
        tuple(
            (edge[0] - 1, edge[1] - 1)
            for edge in edges
            if isinstance(edge, list)
            and len(edge) == 2
            and all(type(end) is int and 1 <= end <= len(joints) for end in edge)
            and edge[0] != edge[1]
        ),
    )


def _match(
    document: dict[str, Any], images: ImageFolder
) -> tuple[dict[str, _Image], list[ImportIssue]]:
    """Pairs the document's images with files, and annotations with images."""
    issues = list(images.issues)
    found: dict[str, _Image] = {}
    by_id: dict[Any, _Image | None] = {}
    for row in document["images"]:
        name = row.get("file_name") if isinstance(row, dict) else None
        identifier = row.get("id") if isinstance(row, dict) else None
        if not isinstance(name, str) or not isinstance(identifier, int | str):
            issues.append(
                ImportIssue(
                    f"image {identifier}",
                    "IMAGE_UNREADABLE",
                    "needs an id and a file_name; skipped",
                )
            )
            continue
        path = images.find(name)
        if identifier in by_id:
            issues.append(
                ImportIssue(name, "IMAGE_ID_TWICE", f"image id {identifier} is taken; skipped")
            )
        elif path is None:
            issues.append(
                ImportIssue(
                    name,
                    "IMAGE_FILE_MISSING",
                    f"is not below {images.root}; skipped with its annotations",
                )
            )
            by_id[identifier] = None
        elif path in found:
            issues.append(
                ImportIssue(name, "IMAGE_LISTED_TWICE", "the annotations of both were joined")
            )
            by_id[identifier] = found[path]
        else:
            by_id[identifier] = found[path] = _Image(row.get("width"), row.get("height"))
    for row in document["annotations"]:
        image_id = row.get("image_id") if isinstance(row, dict) else None
        if not isinstance(image_id, int | str) or image_id not in by_id:
            identifier = row.get("id") if isinstance(row, dict) else None
            issues.append(
                ImportIssue(
                    f"annotation {identifier}",
                    "IMAGE_UNKNOWN",
                    f"its image id {image_id} is not in the list of images; skipped",
                )
            )
        elif image := by_id[image_id]:
            image.annotations.append(row)
    issues += [
        ImportIssue(path, "IMAGE_NOT_LISTED", "the document has no such image; skipped")
        for path in images.paths
        if path not in found
    ]
    return found, issues


def _classes(categories: dict[int, _Category], images: Iterable[_Image]) -> list[DatasetClass]:
    """A class per category in the order of ids, each pose followed by the joints it adds."""
    boxes: Counter[Any] = Counter()
    outlines: Counter[Any] = Counter()
    points: Counter[Any] = Counter()
    for image in images:
        for row in image.annotations:
            shape = points if row.get("keypoints") else outlines
            shape = shape if row.get("keypoints") or row.get("segmentation") else boxes
            shape[str(row.get("category_id"))] += 1
    names = {category.name for category in categories.values()}
    classes: list[DatasetClass] = []
    for identifier, category in categories.items():
        key = str(identifier)
        kind = "polygon" if outlines[key] > boxes[key] else "bbox"
        if category.joints or points[key] > max(outlines[key], boxes[key]):
            kind = "keypoint"
        skeleton = (
            Skeleton(tuple(map(SkeletonNode, category.joints)), category.edges)
            if category.is_pose
            else None
        )
        classes.append(
            DatasetClass(category.name, kind, class_color(len(classes)), skeleton=skeleton)
        )
        for joint in category.joints if category.is_pose else ():
            if joint not in names:
                names.add(joint)
                classes.append(DatasetClass(joint, "keypoint", class_color(len(classes))))
    return classes


class _Reader:
    """Reads the annotations of one image."""

    def __init__(self, path: str, image: _Image, categories: dict[int, _Category]) -> None:
        self._path = path
        self._image = image
        self._categories = categories
        self._instances = 0
        self._seen: Counter[str] = Counter()
        self._issues: list[ImportIssue] = []
        self._row = ""

    def item(self, file: Path) -> ImportItem:
        """The image with its annotations in the order of the document."""
        annotations = [part for row in self._image.annotations for part in self._read(row)]
        return ImportItem(self._path, file, annotations=annotations, issues=self._issues)

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

    def _points(self, row: dict[str, Any], category: _Category) -> list[_Joint]:
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
        category: _Category,
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
        self, row: dict[str, Any], category: _Category, box: Box | None, points: list[_Joint]
    ) -> None:
        own = enclosure([point.at for point in points])
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
