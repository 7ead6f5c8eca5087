"""CSV."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.csv.losses import LOSSES

FORMAT = ExportFormat(
    name="csv",
    description="one row per annotation",
    cannot_hold="",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(25, 0.26, files=0),
    losses=LOSSES,
    note="Annotation ids that a spreadsheet would take for formulas are only found by the export.",
)
