"""Every export format by its name. A new one is a file beside this and a line here."""

from workers.formats.base import Format
from workers.formats.coco import Coco
from workers.formats.pictograph import Pictograph

_ALL: tuple[Format, ...] = (
    Pictograph(),
    Coco(),
)

FORMATS: dict[str, Format] = {format_.name: format_ for format_ in _ALL}
