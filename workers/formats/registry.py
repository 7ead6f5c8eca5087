"""Every export format by its name. A new one is a file beside this and a line here."""

from workers.formats.base import Format
from workers.formats.coco import Coco
from workers.formats.csv import Csv
from workers.formats.cvat import Cvat
from workers.formats.darwin import Darwin
from workers.formats.datumaro import Datumaro
from workers.formats.dota import Dota
from workers.formats.labelme import LabelMe
from workers.formats.pascal_voc import PascalVoc
from workers.formats.pictograph import Pictograph
from workers.formats.yolo import Yolo
from workers.formats.yolo_obb import YoloObb
from workers.formats.yolo_pose import YoloPose

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
