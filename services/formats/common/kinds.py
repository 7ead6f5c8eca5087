"""Kinds of annotations that a format has no place for."""

from collections.abc import Collection, Iterable

from services.formats.common.keypoints import Numbered
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import UNSUPPORTED

#: The types of annotations that cover an area.
AREAS = frozenset({"bbox", "polygon"})
KEYPOINTS = frozenset({"keypoint"})


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
            losses.add(UNSUPPORTED[kind], annotation["id"])
    return taken
