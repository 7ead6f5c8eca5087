"""V7 Darwin JSON 2.0."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.darwin.losses import LOSSES

FORMAT = ExportFormat(
    name="darwin",
    description="V7 Darwin JSON 2.0 per image",
    cannot_hold="rotated boxes: as polygons",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(370, 0.25),
    losses=LOSSES,
)
