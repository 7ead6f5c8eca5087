"""YOLO-pose."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.common.yolo_losses import NOTE
from services.formats.yolo_pose.losses import LOSSES

FORMAT = ExportFormat(
    name="yolo_pose",
    description="Ultralytics poses",
    cannot_hold="other shapes: dropped",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(30, 0, 8),
    losses=LOSSES,
    note=NOTE,
)
