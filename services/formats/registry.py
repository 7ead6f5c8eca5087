"""Every export format by its name. A new one is a folder beside this and two lines here."""

from services.formats.coco.format import FORMAT as COCO
from services.formats.common.export_format import ExportFormat
from services.formats.csv.format import FORMAT as CSV
from services.formats.cvat.format import FORMAT as CVAT
from services.formats.darwin.format import FORMAT as DARWIN
from services.formats.datumaro.format import FORMAT as DATUMARO
from services.formats.dota.format import FORMAT as DOTA
from services.formats.labelme.format import FORMAT as LABELME
from services.formats.pascal_voc.format import FORMAT as PASCAL_VOC
from services.formats.pictograph.format import FORMAT as PICTOGRAPH
from services.formats.roboflow_coco.format import FORMAT as ROBOFLOW_COCO
from services.formats.yolo.format import FORMAT as YOLO
from services.formats.yolo_obb.format import FORMAT as YOLO_OBB
from services.formats.yolo_pose.format import FORMAT as YOLO_POSE

#: In the order in which lists show them.
FORMATS: dict[str, ExportFormat] = {
    format_.name: format_
    for format_ in (
        PICTOGRAPH,
        DARWIN,
        COCO,
        ROBOFLOW_COCO,
        YOLO,
        YOLO_OBB,
        YOLO_POSE,
        DOTA,
        PASCAL_VOC,
        CVAT,
        DATUMARO,
        LABELME,
        CSV,
    )
}
DEFAULT_FORMAT = PICTOGRAPH.name
#: The names of those that `cartouche import` reads.
IMPORTED_FORMATS = tuple(name for name, format_ in FORMATS.items() if format_.is_imported)
