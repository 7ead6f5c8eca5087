"""YOLO for detection and segmentation.

Rows: https://docs.ultralytics.com/datasets/detect/ and /segment/. Readers take every row of
a file for a polygon as soon as one is, so an archive has one kind: polygons where a class of
the export is a polygon class, else boxes. A class filter may thus turn polygons into boxes.

- With polygons, a box is its four corners; parts and holes of a polygon are joined by seams
  without width (`bridge`), so that the area stays what it was.
- With boxes, a polygon and a rotated box are the box around them.
- Polylines and keypoints have no row.
"""

from collections.abc import Sequence

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import POLYGON_AS_BOX, TURNED_AS_BOX, TURNED_AS_POLYGON
from services.formats.common.objects import Object, Pose
from services.formats.common.ring_nesting import bridge
from services.formats.common.shapes import Rectangle, Region, TurnedBox
from services.formats.common.yolo_layout import (
    RowCheck,
    RowWriter,
    YoloLayout,
    box_parts,
    has_extent,
    in_range,
    is_flat,
    parts,
    report_flat,
)
from services.formats.yolo.losses import BOX_AS_POLYGON, HOLES_BRIDGED, has_polygons


class Yolo(YoloLayout):
    """`cls cx cy w h`, or `cls x1 y1 x2 y2 …`."""

    def task(self, info: ExportInfo) -> str:
        """`segment` where a class of the export is a polygon class."""
        return "segment" if info.once(_is_segment) else "detect"

    def row_writer(self, info: ExportInfo) -> RowWriter:
        """Boxes or rings, as the task wants it."""
        return _ring_row if self.task(info) == "segment" else _box_row

    def row_check(self, info: ExportInfo) -> RowCheck:
        """Boxes with an extent, or rings of at least three points."""
        return _check_ring if self.task(info) == "segment" else _check_box


def _is_segment(info: ExportInfo) -> bool:
    return has_polygons(info.selected_classes)


def _box_row(item: Object, image: ExportImage, losses: LossReport) -> list[float] | None:
    shape = item.shape
    # What covers no area was sorted out before.
    assert not isinstance(shape, Pose)
    if isinstance(shape, Region):
        losses.add(POLYGON_AS_BOX, item.id)
    elif isinstance(shape, TurnedBox):
        losses.add(TURNED_AS_BOX, item.id)
    numbers = box_parts(shape.bounds, image)
    if is_flat(numbers[2:], image):
        report_flat(item, losses)
        return None
    return numbers


def _check_box(numbers: Sequence[float]) -> None:
    if len(numbers) == 4:
        x, y, w, h = numbers
        if 0 <= x <= 1 and 0 <= y <= 1 and 0 < w <= 1 and 0 < h <= 1:
            return
    in_range(numbers)
    raise ValueError("a box needs a centre and an extent")


def _check_ring(numbers: Sequence[float]) -> None:
    in_range(numbers)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("a polygon needs three points or more")


def _ring_row(item: Object, image: ExportImage, losses: LossReport) -> list[float] | None:
    shape = item.shape
    if isinstance(shape, Region):
        ring = shape.rings[0]
        if len(shape.rings) > 1:
            ring = bridge(shape.rings)
            losses.add(HOLES_BRIDGED, item.id)
    elif isinstance(shape, TurnedBox):
        ring = shape.ring
        losses.add(TURNED_AS_POLYGON, item.id)
    else:
        assert isinstance(shape, Rectangle)
        x, y, w, h = shape.box
        ring = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        losses.add(BOX_AS_POLYGON, item.id)
    numbers = parts(ring, image)
    return numbers if has_extent(numbers, item, image, losses) else None


WRITER = Yolo()
