"""YOLO-OBB: rotated boxes.

Rows: https://docs.ultralytics.com/datasets/obb/. The corners are those of the box's own
frame: top-left, top-right, bottom-right, bottom-left before it was turned. Boxes without an
angle, and polygons by the smallest rectangle around them, are rotated boxes too; polylines
and keypoints have no row.

The smallest rectangle may reach over the image's edge. Ultralytics asks of a row that the box
around its corners has its centre on the image and is not larger (`verify_image_label` in
`ultralytics/data/utils.py`); its own splitter of DOTA writes such corners. A rectangle of which
that is not so is cut, and reported.
"""

from collections.abc import Sequence
from typing import ClassVar

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import OrientedBox, rounded
from services.formats.common.loss_report import LossReport
from services.formats.common.objects import Object
from services.formats.common.oriented import oriented_box
from services.formats.common.yolo_layout import (
    RowCheck,
    RowWriter,
    YoloLayout,
    digits_of,
    has_extent,
)

_ROUNDING = 1e-9


class YoloObb(YoloLayout):
    """`cls x1 y1 x2 y2 x3 y3 x4 y4`."""

    may_leave_image: ClassVar[bool] = True

    def task(self, info: ExportInfo) -> str:
        """Always the same."""
        return "obb"

    def row_writer(self, info: ExportInfo) -> RowWriter:
        """Four corners."""
        return _row

    def row_check(self, info: ExportInfo) -> RowCheck:
        """Four corners, the box around which Ultralytics takes."""
        return _check


def _row(item: Object, image: ExportImage, losses: LossReport) -> list[float] | None:
    box = oriented_box(item, image, losses, _is_taken)
    if box is None:
        return None
    numbers = rounded(_parts(box, image), digits_of(image))
    return numbers if has_extent(numbers, item, image, losses) else None


def _parts(box: OrientedBox, image: ExportImage) -> list[float]:
    width, height = image.width, image.height
    return [part for x, y in box.corners() for part in (x / width, y / height)]


def _is_taken(box: OrientedBox, image: ExportImage) -> bool:
    return _is_label(_parts(box, image))


def _is_label(corners: Sequence[float]) -> bool:
    xs, ys = corners[::2], corners[1::2]
    x, y = min(xs), min(ys)
    w, h = max(xs) - x, max(ys) - y
    return 0 <= x + w / 2 <= 1 and 0 <= y + h / 2 <= 1 and max(w, h) <= 1 + _ROUNDING


def _check(numbers: Sequence[float]) -> None:
    if len(numbers) != 8:
        raise ValueError("a rotated box needs four corners")
    if not _is_label(numbers):
        raise ValueError("the box around the corners is not on the image, or larger")


WRITER = YoloObb()
