"""What every reader of a source format gives, and the annotations it builds.

Geometry is taken over as it stands: continuous pixels from the top-left corner, no shift,
no rounding, no clamping.
"""

import colorsys
import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from services.catalog.annotations import MAX_NAME
from services.catalog.model import DatasetClass
from services.errors import CartoucheError

Point: TypeAlias = tuple[float, float]
#: Left, top, width, height.
Box: TypeAlias = tuple[float, float, float, float]
Attributes: TypeAlias = Mapping[str, Any] | Sequence[Any]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "import.cartouche")
# The golden angle: neighbours in the list get colours far apart.
_HUE_STEP = 0.618034


class ImportFailed(CartoucheError):
    """Nothing can be imported; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("IMPORT_FAILED", message)


@dataclass(frozen=True, slots=True)
class ImportIssue:
    """Something that was skipped or repaired."""

    #: Image, file and line, or annotation.
    item: str
    #: UPPER_SNAKE word.
    reason: str
    #: What is wrong, and what became of it.
    message: str


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One image with its annotations."""

    #: Folder and file name in the dataset, POSIX, relative.
    path: str
    file: Path
    status: str | None = None
    split: str | None = None
    #: In the Pictograph wire form.
    annotations: list[dict[str, Any]] = field(default_factory=list)
    issues: list[ImportIssue] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A dataset on disk. Items are read one by one, so that memory stays flat."""

    #: In the order of the source.
    classes: list[DatasetClass]
    #: Of every image that will come, in order.
    paths: list[str]
    #: Reads the image of one of the paths.
    load: Callable[[str], ImportItem]
    #: What was skipped or repaired outside of any image that comes.
    issues: list[ImportIssue] = field(default_factory=list)

    def items(self) -> Iterator[ImportItem]:
        """Every image, in order."""
        return map(self.load, self.paths)


def annotation_id(*source: object) -> str:
    """The id of an annotation, the same in every run: made from where it stands."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join(map(str, source))))


def checked_names(names: Sequence[str], where: str) -> list[str]:
    """The names of a class list.

    Raises:
        ImportFailed: a name is blank, too long or there twice.
    """
    for index, name in enumerate(names):
        if not name.strip() or len(name) > MAX_NAME:
            raise ImportFailed(
                f"{where}: class {index} needs a name of 1 to {MAX_NAME} characters, not {name!r}."
            )
        if name in names[:index]:
            raise ImportFailed(
                f"{where}: class name {name!r} is there twice; give each class a name of its own."
            )
    return list(names)


def class_color(index: int) -> str:
    """A colour for a class, by its place in the list."""
    red, green, blue = colorsys.hsv_to_rgb(index * _HUE_STEP % 1, 0.75, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def enclosure(points: Sequence[Point]) -> Box:
    """The axis-aligned box around points; its sides may be 0."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    left, top = min(xs), min(ys)
    return left, top, max(xs) - left, max(ys) - top


def has_area(box: Box) -> bool:
    """Whether all four numbers are finite and both sides above 0."""
    return all(map(math.isfinite, box)) and box[2] > 0 and box[3] > 0


def bbox(
    identifier: str,
    name: str,
    box: Box,
    attributes: Attributes = (),
    confidence: float = 1.0,
) -> dict[str, Any]:
    """An axis-aligned box."""
    return _finished(
        {"id": identifier, "name": name, "type": "bbox", "bounding_box": _box(box)},
        attributes,
        confidence,
    )


def oriented_bbox(
    identifier: str,
    name: str,
    center: Point,
    size: tuple[float, float],
    angle: float,
    attributes: Attributes = (),
) -> dict[str, Any]:
    """A box turned about its centre by `angle` degrees clockwise, with its enclosure."""
    turn = math.radians(angle)
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    width = size[0] * cos + size[1] * sin
    height = size[0] * sin + size[1] * cos
    annotation = bbox(
        identifier, name, (center[0] - width / 2, center[1] - height / 2, width, height)
    )
    annotation["oriented_box"] = {
        "cx": center[0],
        "cy": center[1],
        "w": size[0],
        "h": size[1],
        # The rest of a tiny negative angle rounds to 360 itself.
        "angle": angle % 360.0 % 360.0,
    }
    return _finished(annotation, attributes, 1.0)


def polygon(
    identifier: str,
    name: str,
    rings: Sequence[Sequence[Point]],
    box: Box | None = None,
    attributes: Attributes = (),
    confidence: float = 1.0,
) -> dict[str, Any]:
    """A polygon of rings, filled even-odd; `box` is its enclosure where the source has one."""
    annotation: dict[str, Any] = {"id": identifier, "name": name, "type": "polygon"}
    box = box or enclosure([point for ring in rings for point in ring])
    if has_area(box):
        annotation["bounding_box"] = _box(box)
    annotation["polygon"] = {"paths": [[{"x": x, "y": y} for x, y in ring] for ring in rings]}
    return _finished(annotation, attributes, confidence)


def keypoint(
    identifier: str,
    name: str,
    point: Point,
    instance_id: int | None = None,
    attributes: Attributes = (),
    confidence: float = 1.0,
) -> dict[str, Any]:
    """A point; those of one object share an `instance_id`, from 1."""
    annotation: dict[str, Any] = {
        "id": identifier,
        "name": name,
        "type": "keypoint",
        "keypoint": {"x": point[0], "y": point[1]},
    }
    if instance_id is not None:
        annotation["instance_id"] = instance_id
    return _finished(annotation, attributes, confidence)


def _box(box: Box) -> dict[str, float]:
    return dict(zip("xywh", map(float, box), strict=True))


def _finished(
    annotation: dict[str, Any], attributes: Attributes, confidence: float
) -> dict[str, Any]:
    plain = dict(attributes) if attributes and isinstance(attributes, Mapping) else [*attributes]
    return {**annotation, "confidence": confidence, "attributes": plain}
