"""What COCO loses: what its documents do."""

from services.formats.common.coco_losses import OF_DOCUMENTS

LOSSES = OF_DOCUMENTS
