"""Pictograph JSON, the form in which annotations come in."""

from services.formats.common.export_format import ExportFormat, TextSize

FORMAT = ExportFormat(
    name="pictograph",
    description="one JSON per image, annotations as they came in",
    cannot_hold="",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(250, 0.25),
    has_supercategories=True,
    losses=(),
    is_imported=True,
)
