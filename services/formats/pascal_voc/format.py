"""Pascal VOC."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.pascal_voc.losses import LOSSES

FORMAT = ExportFormat(
    name="pascal_voc",
    description="VOC XML, 0-based pixels",
    cannot_hold="everything as boxes",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(250, 0, 32),
    losses=LOSSES,
    note="Images whose names begin with # are only found by the export.",
    is_imported=True,
)
