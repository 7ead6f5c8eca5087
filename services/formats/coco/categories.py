"""The categories of a COCO document, and the classes that they become."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.catalog.model import DatasetClass, Skeleton, SkeletonNode
from services.formats.common.class_list import checked_names, class_color
from services.formats.common.source import ImportFailed


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the document, with the joints of its pose."""

    name: str
    #: Joint names in the order of the triplets; empty without a pose.
    joints: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    @property
    def is_pose(self) -> bool:
        """Whether it has joints with names of their own."""
        return len(self.joints) > 1

    def joint(self, place: int) -> str:
        """The class of the joint at a place of the triplets."""
        return self.joints[place] if self.is_pose and place < len(self.joints) else self.name


def read_categories(document: dict[str, Any], where: str) -> dict[int, Category]:
    """The document's categories by id, in the order of their ids.

    Args:
        document: holds a list `categories`.
        where: the document's file, as messages name it.

    Raises:
        ImportFailed: there is none, or one has no id or no name of its own.
    """
    rows: dict[int, dict[str, Any]] = {}
    for row in document["categories"]:
        if (
            not isinstance(row, dict)
            or type(row.get("id")) is not int
            or not isinstance(row.get("name"), str)
        ):
            raise ImportFailed(f"{where}: each category needs a whole number id and a name.")
        if row["id"] in rows:
            raise ImportFailed(f"{where}: category id {row['id']} is there twice; make ids unique.")
        rows[row["id"]] = row
    if not rows:
        raise ImportFailed(f"{where} has no categories; add one for each class.")
    checked_names([rows[key]["name"] for key in sorted(rows)], where)
    return {key: _category(rows[key], where) for key in sorted(rows)}


def _category(row: dict[str, Any], where: str) -> Category:
    joints = row.get("keypoints") or []
    where = f"{where}, keypoints of category {row['name']!r}"
    if not isinstance(joints, list) or not all(isinstance(joint, str) for joint in joints):
        raise ImportFailed(f"{where}: must be a list of names.")
    edges = row.get("skeleton") or []
    if not isinstance(edges, list):
        raise ImportFailed(f"{where}: the skeleton must be a list of pairs.")
    return Category(
        row["name"],
        tuple(checked_names(joints, where)),
        # COCO counts joints from 1.
        tuple(
            (edge[0] - 1, edge[1] - 1)
            for edge in edges
            if isinstance(edge, list)
            and len(edge) == 2
            and all(type(end) is int and 1 <= end <= len(joints) for end in edge)
            and edge[0] != edge[1]
        ),
    )


def dataset_classes(
    categories: dict[int, Category], annotations: Iterable[dict[str, Any]]
) -> list[DatasetClass]:
    """A class per category in the order of ids, each pose followed by the joints it adds.

    Args:
        categories: by id.
        annotations: those of the document; most of a category's decide on the type of its class.
    """
    boxes: Counter[Any] = Counter()
    outlines: Counter[Any] = Counter()
    points: Counter[Any] = Counter()
    for row in annotations:
        shape = points if row.get("keypoints") else outlines
        shape = shape if row.get("keypoints") or row.get("segmentation") else boxes
        shape[str(row.get("category_id"))] += 1
    names = {category.name for category in categories.values()}
    classes: list[DatasetClass] = []
    for identifier, category in categories.items():
        key = str(identifier)
        kind = "polygon" if outlines[key] > boxes[key] else "bbox"
        if category.joints or points[key] > max(outlines[key], boxes[key]):
            kind = "keypoint"
        skeleton = (
            Skeleton(tuple(map(SkeletonNode, category.joints)), category.edges)
            if category.is_pose
            else None
        )
        classes.append(
            DatasetClass(category.name, kind, class_color(len(classes)), skeleton=skeleton)
        )
        for joint in category.joints if category.is_pose else ():
            if joint not in names:
                names.add(joint)
                classes.append(DatasetClass(joint, "keypoint", class_color(len(classes))))
    return classes
