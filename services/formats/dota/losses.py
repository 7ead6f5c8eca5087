"""What DOTA loses."""

from services.formats.common.losses import FLATTENED, ROTATED_BOXES, SHAPES_ALONE

LOSSES = (*ROTATED_BOXES, *SHAPES_ALONE, FLATTENED)
