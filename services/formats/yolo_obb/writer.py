"""YOLO-OBB: rotated boxes.

Rows: https://docs.ultralytics.com/datasets/obb/. The corners are those of the box's own
frame: top-left, top-right, bottom-right, bottom-left before it was turned. Boxes without an
angle, and polygons by the smallest rectangle around them, are rotated boxes too; polylines
and keypoints have no row.
"""

from collections.abc import Sequence

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.objects import Object
from services.formats.common.oriented import oriented_box
from services.formats.common.yolo_layout import (
    RowCheck,
    RowWriter,
    YoloLayout,
    has_extent,
    in_range,
    parts,
)


class YoloObb(YoloLayout):
    """`cls x1 y1 x2 y2 x3 y3 x4 y4`."""

    def task(self, info: ExportInfo) -> str:
        """Always the same."""
        return "obb"

    def row_writer(self, info: ExportInfo) -> RowWriter:
        """Four corners."""
        return _row

    def row_check(self, info: ExportInfo) -> RowCheck:
        """Four corners on the image."""
        return _check


def _row(item: Object, image: ExportImage, losses: LossReport) -> list[float] | None:
    box = oriented_box(item, image, losses)
    if box is None:
        return None
    numbers = parts(box.corners(), image)
    return numbers if has_extent(numbers, item, losses) else None


def _check(numbers: Sequence[float]) -> None:
    in_range(numbers)
    if len(numbers) != 8:
        raise ValueError("a rotated box needs four corners")


WRITER = YoloObb()
