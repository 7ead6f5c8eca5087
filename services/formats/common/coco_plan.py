"""What the rows of a COCO document need of its export."""

from typing import Any

from services.catalog.model import DatasetClass
from services.formats.common.export import ExportInfo
from services.formats.common.keypoints import skeletons


class CocoPlan:
    """What follows from the export alone, kept from image to image."""

    def __init__(self, info: ExportInfo) -> None:
        self.info = info
        #: Of all classes, since a joint belongs to the best fit among all of them.
        self.templates = skeletons(info.classes)
        self.ids = {c.name: number for number, c in enumerate(info.selected_classes, 1)}
        self.categories = [
            _category(number, c) for number, c in enumerate(info.selected_classes, 1)
        ]
        self.pose_ids = {self.ids[name] for name in self.templates if name in self.ids}
        self.pose_categories = [c for c in self.categories if c["id"] in self.pose_ids]


class LatestCocoPlan:
    """The plan of the export that is being written: images come one after the other."""

    def __init__(self) -> None:
        self._latest: CocoPlan | None = None

    def of(self, info: ExportInfo) -> CocoPlan:
        """The plan of this export, made anew where the last image was of another."""
        plan = self._latest
        if plan is None or plan.info is not info:
            plan = self._latest = CocoPlan(info)
        return plan


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
