"""Datumaro JSON."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.datumaro.losses import LOSSES

FORMAT = ExportFormat(
    name="datumaro",
    description="Datumaro JSON",
    cannot_hold="rotated boxes: as polygons; holes: as masks",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(10, 0.12, files=0),
    losses=LOSSES,
    parts_polygons=True,
)
