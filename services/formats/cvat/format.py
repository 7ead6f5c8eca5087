"""CVAT for images 1.1."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.cvat.losses import LOSSES

FORMAT = ExportFormat(
    name="cvat",
    description="CVAT for images 1.1",
    cannot_hold="holes: as masks",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(10, 0.12, files=0),
    losses=LOSSES,
    parts_polygons=True,
)
