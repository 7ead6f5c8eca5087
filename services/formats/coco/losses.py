"""What COCO loses: what its documents do, and a folder that readers take for another."""

from services.formats.common.coco_losses import OF_DOCUMENTS
from services.formats.common.losses import Kind, Loss

FOLDER_RENAMED = Loss(
    "image.folder_renamed",
    Kind.renamed,
    "the folder is named like the split: readers take it for the folder of all images",
)

LOSSES = (*OF_DOCUMENTS, FOLDER_RENAMED)
