"""Names of the export formats, for everyone who checks a request.

The formats themselves live with the workers; a test keeps both lists equal.
"""

FORMAT_NAMES = (
    "pictograph",
    "darwin",
    "coco",
    "yolo",
    "yolo_obb",
    "yolo_pose",
    "dota",
    "pascal_voc",
    "cvat",
    "datumaro",
    "labelme",
    "csv",
)
DEFAULT_FORMAT = "pictograph"
