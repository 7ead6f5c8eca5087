"""What a dataset is made of: plain values, no I/O.

The shapes follow the Pictograph dataset configuration: classes in order, each
with a type, a colour, attributes and, for keypoint classes, a skeleton.
"""

from dataclasses import dataclass
from typing import Any

IMAGE_STATUSES = ("new", "annotate", "review", "complete")
SPLITS = ("train", "val", "test")
CLASS_TYPES = ("bbox", "polygon", "polyline", "keypoint")
ATTRIBUTE_TYPES = ("text", "number", "select", "checkbox")
#: Classes of a dataset.
MAX_CLASSES = 10_000


@dataclass(frozen=True, slots=True)
class ClassAttribute:
    """A property that annotations of a class may carry."""

    name: str
    type: str = "text"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SkeletonNode:
    """A joint, with its place in the template (0 to 1 on both axes)."""

    name: str
    x: float = 0.5
    y: float = 0.5


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints of a keypoint class, in order, and its bones as pairs of 0-based indexes."""

    nodes: tuple[SkeletonNode, ...]
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetClass:
    """A class; its id is its position in the dataset's list, from 0."""

    name: str
    type: str = "bbox"
    color: str = "#808080"
    attributes: tuple[ClassAttribute, ...] = ()
    skeleton: Skeleton | None = None
    #: The group that the class belongs to; empty: none.
    supercategory: str = ""

    def to_json(self) -> dict[str, Any]:
        """The class as the Pictograph dataset configuration writes it."""
        value: dict[str, Any] = {"name": self.name, "type": self.type, "color": self.color}
        if self.supercategory:
            value["supercategory"] = self.supercategory
        if self.attributes:
            value["attributes"] = [
                {"name": a.name, "type": a.type, "values": list(a.values) or None}
                for a in self.attributes
            ]
        if self.skeleton:
            value["skeleton"] = {
                "nodes": [{"name": n.name, "x": n.x, "y": n.y} for n in self.skeleton.nodes],
                "edges": [list(edge) for edge in self.skeleton.edges],
            }
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "DatasetClass":
        """The inverse of `to_json`."""
        skeleton = value.get("skeleton")
        return cls(
            name=value["name"],
            type=value.get("type", "bbox"),
            color=value.get("color", "#808080"),
            supercategory=value.get("supercategory", ""),
            attributes=tuple(
                ClassAttribute(a["name"], a.get("type", "text"), tuple(a.get("values") or ()))
                for a in value.get("attributes", ())
            ),
            skeleton=Skeleton(
                nodes=tuple(
                    SkeletonNode(n["name"], n.get("x", 0.5), n.get("y", 0.5))
                    for n in skeleton["nodes"]
                ),
                edges=tuple((int(a), int(b)) for a, b in skeleton.get("edges", ())),
            )
            if skeleton
            else None,
        )
