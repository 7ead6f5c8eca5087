"""What the rows of a COCO document need of its export."""

from typing import Any

from services.catalog.model import DatasetClass
from services.formats.common.export import ExportInfo


class CocoPlan:
    """What follows from the export alone; an export makes one (`ExportInfo.once`)."""

    def __init__(self, info: ExportInfo) -> None:
        self.info = info
        self.templates = info.templates
        self.ids = {name: number + 1 for name, number in info.class_ids.items()}
        self.categories = [
            _category(number, c) for number, c in enumerate(info.selected_classes, 1)
        ]
        self.pose_ids = {self.ids[name] for name in self.templates if name in self.ids}
        self.pose_categories = [c for c in self.categories if c["id"] in self.pose_ids]


def _category(number: int, c: DatasetClass) -> dict[str, Any]:
    category: dict[str, Any] = {
        "id": number,
        "name": c.name,
        "supercategory": c.supercategory,
    }
    if c.skeleton and c.skeleton.nodes:
        category["keypoints"] = [node.name for node in c.skeleton.nodes]
        # COCO counts joints from 1.
        category["skeleton"] = [[a + 1, b + 1] for a, b in c.skeleton.edges]
    elif c.type == "keypoint":
        category["keypoints"] = [c.name]
        category["skeleton"] = []
    return category
