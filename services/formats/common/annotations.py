"""Annotations of source formats in the Pictograph wire form.

Geometry is taken over as it stands: continuous pixels from the top-left corner, no shift,
no rounding, no clamping.
"""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from services.formats.common.geometry import Box, Point, bounds

Attributes: TypeAlias = Mapping[str, Any] | Sequence[Any]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "import.cartouche")


def annotation_id(*source: object) -> str:
    """The id of an annotation, the same in every run: made from where it stands."""
    text = "\0".join(map(str, source))
    # Halves of characters, which names on disk and JSON may have, have no place in UTF-8.
    return str(uuid.uuid5(_NAMESPACE, text.encode(errors="backslashreplace").decode()))


def number_of(text: str) -> float:
    """The number that a text says; NaN where it says none."""
    if "_" in text or not text.isascii():
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def has_area(box: Box) -> bool:
    """Whether all four numbers, the far corner and the area are finite and both sides above 0."""
    x, y, w, h = box
    return w > 0 and h > 0 and all(map(math.isfinite, (*box, x + w, y + h, w * h)))


def are_parts(boxes: Iterable[Sequence[float]]) -> bool:
    """Whether boxes can only be in parts of the sides where pixels are meant: all of them lie
    within the first pixel."""
    has_fraction = False
    for box in boxes:
        if not all(0 <= number <= 1 for number in box):
            return False
        has_fraction = has_fraction or any(0 < number < 1 for number in box)
    return has_fraction


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
    box = box or bounds(rings)
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
