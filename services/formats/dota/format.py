"""DOTA."""

from services.formats.common.export_format import ExportFormat, TextSize
from services.formats.dota.losses import LOSSES

FORMAT = ExportFormat(
    name="dota",
    description="DOTA `labelTxt`",
    cannot_hold="other shapes: boxed or dropped",
    layout_version=1,
    first_class_id=0,
    text_size=TextSize(40, 0, 20),
    losses=LOSSES,
)
