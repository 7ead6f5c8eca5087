"""What YOLO-OBB loses."""

from services.formats.common.losses import (
    AREAS,
    NO_ORIENTED_BOX,
    POLYGON_AS_RECTANGLE,
    UNSUPPORTED,
    cut_to_image,
)
from services.formats.common.yolo_losses import OF_LAYOUT

LOSSES = (
    *cut_to_image(AREAS),
    POLYGON_AS_RECTANGLE,
    NO_ORIENTED_BOX,
    UNSUPPORTED["polyline"],
    UNSUPPORTED["keypoint"],
    *OF_LAYOUT,
)
