"""What DOTA loses."""

from services.formats.common.losses import FLATTENED, ROTATED_BOXES

LOSSES = (*ROTATED_BOXES, FLATTENED)
