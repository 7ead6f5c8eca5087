"""Rotated boxes on the image: what YOLO-OBB and DOTA write for boxes and polygons."""

from services.formats.common.export import ExportImage
from services.formats.common.geometry import (
    TOLERANCE,
    OrientedBox,
    Ring,
    bounds,
    min_area_box,
    overshoot,
    ring_area,
    trim_box,
)
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import NO_ORIENTED_BOX, POLYGON_AS_RECTANGLE
from services.formats.common.shapes import Object, Rectangle, Region, TurnedBox

#: Part of the area on the image that may be missing from a box that counts as whole.
_ROUNDING = 1e-9


def oriented_box(item: Object, image: ExportImage, losses: LossReport) -> OrientedBox | None:
    """The object as a rotated box that lies on the image; None where it has none.

    A polygon becomes the smallest rectangle around it. A box that reaches over the edge
    is not moved corner by corner, which would bend it: it becomes the part on the image
    where that is a rectangle, the smallest rectangle around that part where that lies on
    the image, or else is shortened along its own sides.
    """
    match item.shape:
        case Rectangle((x, y, w, h)):
            return OrientedBox(x + w / 2, y + h / 2, w, h, 0.0)
        case TurnedBox(oriented, ring):
            box = _on_image(oriented, ring, image)
        case Region(rings):
            points = [point for ring in rings for point in ring]
            box = min_area_box(points)
            if not _is_inside(box, image):
                box = trim_box(box, image.width, image.height) or box
            losses.add(POLYGON_AS_RECTANGLE, item.id)
        case _:
            raise TypeError(f"{item.id} covers no area")
    if box is None or box.w * box.h <= 0:
        losses.add(NO_ORIENTED_BOX, item.id)
        return None
    return box


def _on_image(box: OrientedBox, ring: Ring, image: ExportImage) -> OrientedBox | None:
    if _is_inside(box, image):
        return box
    trimmed = trim_box(box, image.width, image.height)
    if trimmed and trimmed.w * trimmed.h >= ring_area(ring) * (1 - _ROUNDING):
        return trimmed
    around = min_area_box(ring)
    return around if _is_inside(around, image) else trimmed


def _is_inside(box: OrientedBox, image: ExportImage) -> bool:
    return overshoot(bounds([box.corners()]), image.width, image.height) <= TOLERANCE
