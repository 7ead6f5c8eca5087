"""What DOTA loses."""

from services.formats.common.losses import (
    AREAS,
    FLATTENED,
    NO_ORIENTED_BOX,
    POLYGON_AS_RECTANGLE,
    UNSUPPORTED,
    cut_to_image,
)

LOSSES = (
    *cut_to_image(AREAS),
    POLYGON_AS_RECTANGLE,
    NO_ORIENTED_BOX,
    UNSUPPORTED["polyline"],
    UNSUPPORTED["keypoint"],
    FLATTENED,
)
