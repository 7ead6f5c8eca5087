"""COCO JSON."""

from services.formats.coco.losses import LOSSES
from services.formats.common.export_format import ExportFormat, TextSize

FORMAT = ExportFormat(
    name="coco",
    description="`instances_*.json`, and `person_keypoints_*.json` where there are skeletons",
    cannot_hold="polylines: dropped; holes: as RLE",
    layout_version=1,
    # 0 is the background for Datumaro and others.
    first_class_id=1,
    text_size=TextSize(10, 0.15, files=0),
    has_supercategories=True,
    losses=LOSSES,
    note=(
        "A folder that is named like its split, or `default` without splits, is renamed, which "
        "only the export finds."
    ),
    is_imported=True,
)
