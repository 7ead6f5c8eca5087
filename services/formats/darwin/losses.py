"""What Darwin JSON loses."""

from services.formats.common.losses import (
    EVERY_SHAPE,
    MERGED_JOINTS,
    TURNED_AS_POLYGON,
    cut_to_image,
)

LOSSES = (*cut_to_image(EVERY_SHAPE), *MERGED_JOINTS, TURNED_AS_POLYGON)
