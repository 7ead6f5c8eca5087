"""The poses of a source, put together here once more."""

from collections import defaultdict
from typing import Any

from services.formats.common.export import ExportInfo
from tests.oracles.model import SourceImage

#: x, y and visibility of each joint of the skeleton; zeros where it is not placed.
Joints = list[tuple[float, float, float]]


def poses(image: SourceImage, info: ExportInfo) -> list[tuple[str, Joints]]:
    """Class and joints of each pose that the export takes, by its first annotation.

    A joint belongs to its instance's class: the first one that names most of its joints.
    """
    templates = {c.name: [n.name for n in c.skeleton.nodes] for c in info.classes if c.skeleton}
    instances: dict[Any, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for position, annotation in enumerate(image.annotations):
        if annotation["type"] == "keypoint":
            instance = annotation.get("instance_id")
            key = ("alone", position) if instance is None else ("instance", instance)
            instances[key].append((position, annotation))
    found = []
    for members in instances.values():
        names = {annotation["name"] for _, annotation in members}
        hits = {name: len(names & set(nodes)) for name, nodes in templates.items()}
        best = max(hits, key=lambda name: hits[name], default="")
        if not hits.get(best) or best not in {c.name for c in info.selected_classes}:
            continue
        joints: Joints = [(0, 0, 0)] * len(templates[best])
        first = -1
        for position, annotation in members:
            if annotation["name"] not in templates[best]:
                continue
            place = templates[best].index(annotation["name"])
            if joints[place][2] == 0:
                point = annotation["keypoint"]
                joints[place] = point["x"], point["y"], _visibility(annotation)
                first = position if first < 0 else first
        found.append((first, best, joints))
    return [(name, joints) for _, name, joints in sorted(found, key=lambda pose: pose[0])]


def _visibility(annotation: dict[str, Any]) -> int:
    attributes = annotation.get("attributes")
    occluded = attributes.get("occluded") if isinstance(attributes, dict) else None
    yes = ("true", "1", "yes", "y", "t", "occluded")
    return 1 if str(occluded).strip().lower() in yes else 2
