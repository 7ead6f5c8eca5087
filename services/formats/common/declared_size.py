"""Annotations of an image whose source declares another size than its file has.

A source may have been made from the picture as it is stored, before the orientation in its EXIF
turns it, or from a smaller or larger copy. Both are converted; of anything else nobody knows
where its boxes belong, and it is only named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.formats.common.annotations import number_of
from services.formats.common.geometry import Point
from services.formats.common.plain_values import shown
from services.formats.common.source import ImportIssue

#: What a side is where nothing is declared.
_NO_SIDES: tuple[Any, ...] = (None, "", 0, "0")
#: More than any picture has, and few enough to multiply.
_MOST = 2**31


@dataclass(frozen=True, slots=True)
class FileSize:
    """The size of an image file in pixels."""

    #: As displayed.
    width: int
    height: int
    #: As in EXIF, 1 to 8; 5 to 8 turn the picture by a quarter.
    orientation: int = 1

    @property
    def is_turned(self) -> bool:
        """Whether the picture is stored with its sides swapped."""
        return self.orientation in (5, 6, 7, 8)


def declared(width: Any, height: Any) -> tuple[int, int] | None:
    """A size as sources write it: numbers, or text of them. None: they declare none, as 0 or
    nothing does."""
    sides = [number_of(side.strip()) if isinstance(side, str) else side for side in (width, height)]
    if not all(type(side) in (int, float) and 0 < side < _MOST for side in sides):
        return None
    return (round(sides[0]), round(sides[1])) if all(round(side) for side in sides) else None


def no_size(item: str, width: Any, height: Any) -> ImportIssue | None:
    """Names a declared size that is none, such as one below 0; None: it is one, or a side
    declares nothing, as 0 does.

    Args:
        item: the image.
        width: as the source has it.
        height: as the source has it.
    """
    sides = [side.strip() if isinstance(side, str) else side for side in (width, height)]
    if declared(width, height) or any(side in _NO_SIDES for side in sides):
        return None
    says = f"{shown(width)} x {shown(height)}"
    message = f"the source declares {says} pixels, which is no size; the file's was taken"
    return ImportIssue(item, "SIZE_UNREADABLE", message)


def fitted(
    annotations: list[dict[str, Any]], size: tuple[int, int], file: FileSize
) -> tuple[list[dict[str, Any]], str | None]:
    """Annotations as they lie on the image as displayed, and what to say about it; None where
    the sizes agree.

    Args:
        annotations: in the wire form, in pixels of `size`.
        size: declared width and height.
        file: what the file has.
    """
    shown = file.width, file.height
    if size == shown:
        return annotations, None
    says = f"the source declares {size[0]} x {size[1]} pixels, the file has {shown[0]} x {shown[1]}"
    stored = (shown[1], shown[0]) if file.is_turned else shown
    if file.is_turned and _is_scaled(size, stored):
        fit = _Fit(stored[0] / size[0], stored[1] / size[1], stored, file.orientation)
        how = "turned as its EXIF says" + (", and scaled" if size != stored else "")
    elif _is_scaled(size, shown):
        fit = _Fit(shown[0] / size[0], shown[1] / size[1], shown)
        how = "scaled"
    else:
        return annotations, f"{says}, which is no turn or scale of it; taken as they stand"
    return [fit.annotation(value) for value in annotations], f"{says}; annotations were {how}"


def _is_scaled(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same proportions, but for rounding to whole pixels."""
    (w, h), (ow, oh) = sorted((size, other))
    return abs(w - ow * h / oh) < 1 and abs(h - oh * w / ow) < 1


@dataclass(frozen=True, slots=True)
class _Fit:
    """Scales, then turns."""

    x: float
    y: float
    #: Of the picture as it is stored.
    size: tuple[int, int]
    orientation: int = 1

    def annotation(self, value: dict[str, Any]) -> dict[str, Any]:
        """An annotation, moved."""
        moved = dict(value)
        if box := value.get("bounding_box"):
            moved["bounding_box"] = self._box(box)
        if line := value.get("polyline"):
            moved["polyline"] = {**line, "path": self._path(line["path"])}
        if area := value.get("polygon"):
            moved["polygon"] = {**area, "paths": [self._path(ring) for ring in area["paths"]]}
        if joint := value.get("keypoint"):
            x, y = self._point(joint["x"], joint["y"])
            moved["keypoint"] = {**joint, "x": x, "y": y}
        if turned := value.get("oriented_box"):
            moved["oriented_box"] = self._oriented(turned)
        return moved

    def _point(self, x: float, y: float) -> Point:
        return _turn(self.orientation, *self.size)(x * self.x, y * self.y)

    def _path(self, path: list[dict[str, Any]]) -> list[dict[str, Any]]:
        points = [(point, self._point(point["x"], point["y"])) for point in path]
        return [{**point, "x": x, "y": y} for point, (x, y) in points]

    def _box(self, box: dict[str, float]) -> dict[str, float]:
        x, y = self._point(box["x"], box["y"])
        far_x, far_y = self._point(box["x"] + box["w"], box["y"] + box["h"])
        return {
            "x": min(x, far_x),
            "y": min(y, far_y),
            "w": abs(far_x - x),
            "h": abs(far_y - y),
        }

    def _oriented(self, box: dict[str, float]) -> dict[str, float]:
        cx, cy = self._point(box["cx"], box["cy"])
        along = math.radians(box["angle"])
        x, y = self._point(box["cx"] + math.cos(along), box["cy"] + math.sin(along))
        angle = math.degrees(math.atan2(y - cy, x - cx))
        return {
            **box,
            "cx": cx,
            "cy": cy,
            # The scales of both sides differ by no more than rounding.
            "w": box["w"] * math.sqrt(self.x * self.y),
            "h": box["h"] * math.sqrt(self.x * self.y),
            "angle": angle % 360.0 % 360.0,
        }


def _turn(orientation: int, width: int, height: int) -> Callable[[float, float], Point]:
    """Where a point of the stored picture is displayed. Exif 2.32, 4.6.4.A: which sides of the
    picture the first row and the first column are."""
    turns: dict[int, Callable[[float, float], Point]] = {
        5: lambda x, y: (y, x),
        6: lambda x, y: (height - y, x),
        7: lambda x, y: (height - y, width - x),
        8: lambda x, y: (y, width - x),
    }
    return turns.get(orientation, lambda x, y: (x, y))
