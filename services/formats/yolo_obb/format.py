"""YOLO-OBB."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.common.yolo_losses import NOTE
from services.formats.yolo_obb.losses import LOSSES

FORMAT = ExportFormat(
    name="yolo_obb",
    description="Ultralytics oriented boxes",
    cannot_hold="other shapes: boxed or dropped",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(30, 0, 25),
    losses=LOSSES,
    note=NOTE,
)
