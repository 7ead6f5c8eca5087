"""LabelMe JSON."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.labelme.losses import LOSSES

FORMAT = ExportFormat(
    name="labelme",
    description="LabelMe JSON",
    cannot_hold="",
    layout_version=1,
    # labelme's converters count the lines of labels.txt from -1: 0 is the background.
    first_class_id=1,
    text_size=TextSize(130, 0.24),
    losses=LOSSES,
    parts_polygons=True,
)
