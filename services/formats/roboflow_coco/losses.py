"""What Roboflow's COCO layout loses: what COCO does, and folders of images."""

from services.formats.common.coco_losses import LOSSES as OF_COCO
from services.formats.common.losses import FLATTENED

LOSSES = (*OF_COCO, FLATTENED)
