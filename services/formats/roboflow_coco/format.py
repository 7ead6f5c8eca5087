"""COCO JSON in the layout of Roboflow."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.roboflow_coco.losses import LOSSES

FORMAT = ExportFormat(
    name="roboflow_coco",
    description="`_annotations.coco.json` beside the images of each split, as RF-DETR trains on",
    cannot_hold="polylines: dropped; holes: as RLE",
    layout_version=1,
    # As supervision writes them; RF-DETR counts the categories in the order of their ids.
    first_class_id=1,
    text_size=TextSize(10, 0.15, files=0),
    has_supercategories=True,
    losses=LOSSES,
)
