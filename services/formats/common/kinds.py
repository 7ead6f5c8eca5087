"""Kinds of annotations that a format has no place for."""

from collections.abc import Collection, Iterable

from services.formats.common.keypoints import Numbered
from services.formats.common.losses import LossReport

#: The types of annotations that cover an area.
AREAS = frozenset({"bbox", "polygon"})
KEYPOINTS = frozenset({"keypoint"})

_PLURALS = {
    "bbox": "boxes",
    "polygon": "polygons",
    "polyline": "polylines",
    "keypoint": "keypoints",
}


def of_kinds(
    selected: Iterable[Numbered], kinds: Collection[str], losses: LossReport
) -> list[Numbered]:
    """The annotations of these types; every other one is reported as dropped."""
    taken = []
    for number, annotation in selected:
        kind = annotation["type"]
        if kind in kinds:
            taken.append((number, annotation))
        else:
            losses.add("dropped", f"the format has no {_PLURALS[kind]}", annotation["id"])
    return taken
