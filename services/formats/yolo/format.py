"""YOLO for detection and segmentation."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.common.yolo_losses import NOTE
from services.formats.yolo.losses import LOSSES

FORMAT = ExportFormat(
    name="yolo",
    description="Ultralytics detect or segment",
    cannot_hold="polylines, keypoints: dropped; holes: bridged",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(30, 0.12),
    losses=LOSSES,
    note=NOTE,
    is_imported=True,
)
