"""What YOLO-OBB loses."""

from services.formats.common.losses import ROTATED_BOXES
from services.formats.common.yolo_losses import OF_LAYOUT

LOSSES = (*ROTATED_BOXES, *OF_LAYOUT)
