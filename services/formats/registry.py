"""Every export format by its name. A new one is a file beside this and a line here."""

from services.formats.coco.writer import Coco
from services.formats.common.writer import Format
from services.formats.csv.writer import Csv
from services.formats.cvat.writer import Cvat
from services.formats.darwin.writer import Darwin
from services.formats.datumaro.writer import Datumaro
from services.formats.dota.writer import Dota
from services.formats.labelme.writer import LabelMe
from services.formats.pascal_voc.writer import PascalVoc
from services.formats.pictograph.writer import Pictograph
from services.formats.yolo.writer import Yolo
from services.formats.yolo_obb.writer import YoloObb
from services.formats.yolo_pose.writer import YoloPose

_ALL: tuple[Format, ...] = (
    Pictograph(),
    Darwin(),
    Coco(),
    Yolo(),
    YoloObb(),
    YoloPose(),
    Dota(),
    PascalVoc(),
    Cvat(),
    Datumaro(),
    LabelMe(),
    Csv(),
)

FORMATS: dict[str, Format] = {format_.name: format_ for format_ in _ALL}
