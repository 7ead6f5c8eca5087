"""What Roboflow's COCO layout loses: what COCO does, and folders of images."""

from services.formats.common.coco_losses import OF_DOCUMENTS
from services.formats.common.losses import FLATTENED

LOSSES = (*OF_DOCUMENTS, FLATTENED)
