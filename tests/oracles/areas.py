"""What readers of boxes and polygons must see of a source: computed here once more, from the
formats' rules and not from their code."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.formats.common.export import ExportInfo
from tests.oracles.model import SourceImage, require

Points = NDArray[np.float64]

_SAMPLES = 300
#: Points around which the smallest rectangle is sought in every direction.
_FEW = 40
#: Pixels by which something may lie over the edge by rounding.
_EDGE = 1e-6


@dataclass(frozen=True)
class Area:
    """An annotation that covers a part of its image."""

    class_name: str
    #: Where it is one ring in the format too: a box's four corners, clockwise from top-left.
    rings: list[Points]
    width: int
    height: int
    is_box: bool

    @property
    def is_inside(self) -> bool:
        """Whether the format need not cut it."""
        points = np.vstack(self.rings)
        return bool((points >= -_EDGE).all() and (points <= self._size + _EDGE).all())

    @property
    def box(self) -> Points:
        """Left, top, right, bottom on the image; of a shape that is cut only roughly."""
        points = np.clip(np.vstack(self.rings), 0, self._size)
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    @property
    def _size(self) -> Points:
        return np.array([self.width, self.height], dtype=np.float64)

    def error_of_box(self, box: Sequence[float]) -> float:
        """The largest difference, in pixels, to a box of left, top, width and height."""
        left, top, w, h = box
        return float(np.abs(self.box - (left, top, left + w, top + h)).max())

    def error_of_ring(self, ring: Sequence[Sequence[float]]) -> float:
        """The largest distance, in pixels, of a ring's points to this one's, in order.

        A ring that was cut, or joined from several, is asked whether it covers the same
        points instead.

        Raises:
            OracleMismatch: it has other points, or covers another area.
        """
        points = np.asarray(ring, dtype=np.float64)
        require(
            bool((points >= 0).all() and (points <= self._size + 1e-4).all()),
            f"a point of {self.class_name} is not on the image",
        )
        if len(self.rings) == 1 and self.is_inside:
            require(len(points) == len(self.rings[0]), f"{len(points)} points")
            return float(np.linalg.norm(points - self.rings[0], axis=1).max())
        left, top, right, bottom = self.box
        samples = np.random.default_rng(7).uniform((left, top), (right, bottom), (_SAMPLES, 2))
        expected = np.bitwise_xor.reduce([_covers(ring, samples) for ring in self.rings])
        differ = int((_covers(points, samples) != expected).sum())
        # One may lie on an edge, which is rounded.
        require(differ <= 1, f"{differ} of {_SAMPLES} points of {self.class_name} are in one only")
        return 0.0

    def error_of_rectangle(self, ring: Sequence[Sequence[float]], tolerance: float = 0.02) -> float:
        """The largest distance, in pixels, of four corners to this box's, in order.

        Those of a rotated box that was cut are asked to be a rectangle on the image; those
        of a polygon one around it, which may reach over the image's edge unless it was cut
        there; `tolerance` pixels are the reader's rounding.

        Raises:
            OracleMismatch: they are not.
        """
        corners = np.asarray(ring, dtype=np.float64)
        require(corners.shape == (4, 2), f"{len(corners)} corners")
        require(
            not self.is_box
            or bool((corners >= -tolerance).all() and (corners <= self._size + tolerance).all()),
            f"a corner of {self.class_name} is not on the image",
        )
        if self.is_box and self.is_inside:
            return float(np.linalg.norm(corners - self.rings[0], axis=1).max())
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        skew = np.abs(corners[0] - corners[1] + corners[2] - corners[3]).max()
        size = float(np.linalg.norm(across) * np.linalg.norm(down))
        require(
            skew < 0.02 and abs(float(across @ down)) < 0.02 * math.sqrt(size) + 0.02,
            f"{self.class_name} is no rectangle",
        )
        touches = np.isclose(corners, 0, atol=tolerance) | np.isclose(
            corners, self._size, atol=tolerance
        )
        if not self.is_box and not touches.any():
            for axis in (across, down):
                length = float(np.linalg.norm(axis))
                along = (np.vstack(self.rings) - corners[0]) @ (axis / length)
                require(
                    along.min() > -tolerance and along.max() < length + tolerance,
                    f"a point of {self.class_name} is not in its rectangle",
                )
            require(
                len(self._points) > _FEW or size <= self._smallest_rectangle() * 1.001 + 0.02,
                f"the rectangle of {self.class_name} is larger than need be",
            )
        return 0.0

    @property
    def _points(self) -> Points:
        return np.vstack(self.rings)

    def _smallest_rectangle(self) -> float:
        """The area of the smallest rectangle around all points: one side of it runs through two
        of them."""
        points = self._points
        sizes = []
        for step in (points[:, None] - points[None, :]).reshape(-1, 2):
            if length := float(np.linalg.norm(step)):
                x, y = step / length
                sizes.append(float(np.ptp(points @ (x, y)) * np.ptp(points @ (-y, x))))
        return min(sizes)


def areas(image: SourceImage, info: ExportInfo) -> Iterator[Area]:
    """The boxes and polygons of an image that the export takes, in order."""
    names = {c.name for c in info.selected_classes}
    for annotation in image.annotations:
        rings = _rings(annotation)
        if annotation["name"] not in names or not rings:
            continue
        is_box = annotation["type"] == "bbox"
        if is_box and not (annotation.get("oriented_box") or {}).get("angle"):
            rings = [np.clip(rings[0], 0, (image.width, image.height))]
        area = Area(annotation["name"], rings, image.width, image.height, is_box)
        left, top, right, bottom = area.box
        # Smaller than the last digit of a label.
        if right - left >= 1e-6 * image.width and bottom - top >= 1e-6 * image.height:
            yield area


def _rings(annotation: dict[str, Any]) -> list[Points]:
    if annotation["type"] == "polygon":
        paths = annotation["polygon"]["paths"]
        return [np.array([(point["x"], point["y"]) for point in path]) for path in paths]
    if annotation["type"] != "bbox":
        return []
    turned = annotation.get("oriented_box")
    if turned and turned.get("angle"):
        return [corners(turned["cx"], turned["cy"], turned["w"], turned["h"], turned["angle"])]
    box = annotation["bounding_box"]
    x, y, w, h = box["x"], box["y"], box["w"], box["h"]
    return [corners(x + w / 2, y + h / 2, w, h, 0)]


def corners(cx: float, cy: float, w: float, h: float, degrees: float) -> Points:
    """The corners of a rectangle turned clockwise: top-left, top-right, bottom-right,
    bottom-left of its own frame."""
    frame = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
    turn = math.radians(degrees)
    matrix = np.array(
        [(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))], dtype=np.float64
    )
    return np.asarray(frame @ matrix + (cx, cy))


def _covers(ring: Points, points: Points) -> NDArray[np.bool_]:
    """Even-odd: for each point, whether a ray to the right crosses the ring an odd number of
    times."""
    x, y = points.T[:, :, None]
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, 1, axis=0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    hits = ((y0 > y) != (y1 > y)) & (x < crossing)
    return np.asarray(hits.sum(axis=1) % 2 == 1)
