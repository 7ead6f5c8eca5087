"""What Datumaro JSON loses."""

from services.formats.common.losses import (
    EVERY_SHAPE,
    MASK_OR_GROUP,
    MERGED_JOINTS,
    TURNED_AS_POLYGON,
    cut_to_image,
)

LOSSES = (*cut_to_image(EVERY_SHAPE), *MERGED_JOINTS, TURNED_AS_POLYGON, *MASK_OR_GROUP)
