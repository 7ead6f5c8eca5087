"""What YOLO-OBB loses."""

from services.formats.common.losses import RECTANGLE_CUT, ROTATED_BOXES
from services.formats.common.yolo_losses import OF_LAYOUT

LOSSES = (RECTANGLE_CUT, *ROTATED_BOXES, *OF_LAYOUT)
