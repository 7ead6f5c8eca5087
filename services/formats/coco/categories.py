"""The categories of a COCO document, and the classes that they become."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.catalog.annotations import MAX_NAME
from services.catalog.model import DatasetClass, Skeleton, SkeletonNode
from services.formats.coco.document import CocoDocument
from services.formats.coco.values import identifier, kind
from services.formats.common.class_list import checked_names, class_color
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportFailed, ImportIssue

#: What the document calls an image or a category by.
Id: TypeAlias = int | str

_HEX = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Category:
    """A class of the document, with the joints of its pose."""

    name: str
    #: Joint names in the order of the triplets; empty without a pose.
    joints: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    #: The group that it belongs to; empty: none.
    supercategory: str = ""
    #: As `#rrggbb`; empty: none.
    color: str = ""

    @property
    def is_pose(self) -> bool:
        """Whether it has joints with names of their own."""
        return len(self.joints) > 1

    def joint(self, place: int) -> str:
        """The class of the joint at a place of the triplets."""
        return self.joints[place] if self.is_pose and place < len(self.joints) else self.name


def read_categories(
    documents: Sequence[CocoDocument],
) -> tuple[list[dict[Id, Category]], list[ImportIssue]]:
    """The categories of each document by id, in the order of their ids, and what was left out
    or joined: a category that no annotation is of and that only groups the others (Roboflow
    writes one), and categories of the same name, which are one class.

    Raises:
        ImportFailed: one has no id or no name, or an id stands for two names.
    """
    issues: list[ImportIssue] = []
    found: list[dict[Id, Category]] = []
    named: dict[str, Category] = {}
    for document in documents:
        rows = _rows(document)
        for key in _unused_groups(document, rows):
            issues.append(
                ImportIssue(
                    document.file.where,
                    "CATEGORY_UNUSED",
                    f"category {shown(rows[key]['name'])} (id {key}) is the supercategory of the "
                    "others and of no annotation; left out",
                )
            )
            del rows[key]
        by_name: dict[str, Id] = {}
        categories: dict[Id, Category] = {}
        for key, row in rows.items():
            name = row["name"]
            if name in by_name:
                issues.append(
                    ImportIssue(
                        document.file.where,
                        "CATEGORY_TWICE",
                        f"categories {by_name[name]} and {key} have the same name {shown(name)}; "
                        "they are one class",
                    )
                )
                categories[key] = categories[by_name[name]]
                continue
            by_name[name] = key
            own = _category(row, str(document), issues)
            known = named.setdefault(name, own)
            if own.joints and not known.joints:
                known = named[name] = own
            categories[key] = known if known.joints == own.joints else own
        checked_names(list(by_name), str(document))
        found.append(categories)
    return found, issues


def _rows(document: CocoDocument) -> dict[Id, dict[str, Any]]:
    rows: dict[Id, dict[str, Any]] = {}
    for row in document.categories:
        if not isinstance(row, dict):
            raise ImportFailed(f"{document}: a category is {kind(row)}, and must be an object.")
        key, name = identifier(row.get("id")), row.get("name")
        if key is None:
            raise ImportFailed(
                f"{document}: the id of a category is {kind(row.get('id'))}, and must be a whole "
                "number."
            )
        if type(name) is int:
            name = str(name)
        if not isinstance(name, str):
            raise ImportFailed(
                f"{document}: the name of category {key} is {kind(name)}, and must be text."
            )
        if key in rows and rows[key]["name"] != name:
            raise ImportFailed(f"{document}: category id {key} is there twice; make ids unique.")
        rows[key] = {**row, "name": name}
    keys: list[Id] = []
    keys += sorted(key for key in rows if isinstance(key, int))
    keys += [key for key in rows if isinstance(key, str)]
    return {key: rows[key] for key in keys}


def _unused_groups(document: CocoDocument, rows: dict[Id, dict[str, Any]]) -> list[Id]:
    """Categories that are the supercategory of all others, and that no annotation is of."""
    said = Counter(
        group for row in rows.values() if isinstance(group := row.get("supercategory"), str)
    )
    groups = [
        key
        for key, row in rows.items()
        if len(rows) > 1
        and said[row["name"]] - (row.get("supercategory") == row["name"]) == len(rows) - 1
    ]
    if not groups:
        return []
    used = {
        identifier(row.get("category_id")) for row in document.annotations if isinstance(row, dict)
    }
    return [key for key in groups if key not in used]


def _category(row: dict[str, Any], where: str, issues: list[ImportIssue]) -> Category:
    name = row["name"]
    joints = row.get("keypoints") or []
    place = f"{where}, keypoints of category {shown(name)}"
    if not isinstance(joints, list) or not all(isinstance(joint, str) for joint in joints):
        raise ImportFailed(f"{place}: must be a list of names.")
    edges = row.get("skeleton") or []
    if not isinstance(edges, list):
        raise ImportFailed(f"{place}: the skeleton must be a list of pairs.")
    pairs = [
        edge
        for edge in edges
        if isinstance(edge, list) and len(edge) == 2 and all(type(end) is int for end in edge)
    ]
    first = 1
    if any(0 in pair for pair in pairs):
        first = 0
        message = f"the skeleton of {shown(name)} counts joints from 0, not from 1; taken so"
        issues.append(ImportIssue(where, "SKELETON_FROM_ZERO", message))
    group = row.get("supercategory") or ""
    if not isinstance(group, str) or len(group) > MAX_NAME or not is_storable(group):
        message = f"the supercategory of {shown(name)} is no short text; it was left out"
        issues.append(ImportIssue(where, "SUPERCATEGORY_UNREADABLE", message))
        group = ""
    return Category(
        name,
        tuple(checked_names(joints, place)),
        # COCO counts joints from 1.
        tuple(
            (one - first, other - first)
            for one, other in pairs
            if all(0 <= end - first < len(joints) for end in (one, other)) and one != other
        ),
        group,
        _color(row.get("color")),
    )


def _color(value: Any) -> str:
    """A colour as `#rrggbb`; empty where it is none."""
    if isinstance(value, str) and _HEX.fullmatch(value):
        return value.lower()
    if isinstance(value, list) and len(value) in (3, 4):
        channels = value[:3]
        if all(type(channel) is int and 0 <= channel < 256 for channel in channels):
            return "#" + "".join(f"{channel:02x}" for channel in channels)
    return ""


def dataset_classes(
    categories: Sequence[dict[Id, Category]], annotations: Iterable[tuple[Category, dict[str, Any]]]
) -> list[DatasetClass]:
    """A class per category in the order of documents and ids, each pose followed by the joints
    it adds.

    Args:
        categories: of each document, by id.
        annotations: those of all documents, each with its category; most of a category's
            decide on the type of its class.
    """
    boxes: Counter[str] = Counter()
    outlines: Counter[str] = Counter()
    points: Counter[str] = Counter()
    for category, row in annotations:
        shape = points if row.get("keypoints") else outlines
        shape = shape if row.get("keypoints") or row.get("segmentation") else boxes
        shape[category.name] += 1
    by_name: dict[str, Category] = {}
    for category in (category for each in categories for category in each.values()):
        if category.joints or category.name not in by_name:
            by_name[category.name] = category
    names = set(by_name)
    classes: list[DatasetClass] = []
    for name, category in by_name.items():
        type_ = "polygon" if outlines[name] > boxes[name] else "bbox"
        if category.joints or points[name] > max(outlines[name], boxes[name]):
            type_ = "keypoint"
        skeleton = (
            Skeleton(tuple(map(SkeletonNode, category.joints)), category.edges)
            if category.is_pose
            else None
        )
        color = category.color or class_color(len(classes))
        classes.append(
            DatasetClass(name, type_, color, (), skeleton, supercategory=category.supercategory)
        )
        for joint in category.joints if category.is_pose else ():
            if joint not in names:
                names.add(joint)
                classes.append(DatasetClass(joint, "keypoint", class_color(len(classes))))
    return classes
