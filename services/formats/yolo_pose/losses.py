"""What YOLO-pose loses."""

from collections.abc import Sequence

from services.catalog.model import DatasetClass
from services.catalog.shapes import POINTS
from services.formats.common.losses import (
    MERGED_JOINTS,
    UNSUPPORTED,
    Annotations,
    Kind,
    Loss,
    cut_to_image,
)
from services.formats.common.yolo_losses import OF_LAYOUT

NO_POSE = Loss(
    "keypoint.without_pose",
    Kind.dropped,
    "a keypoint that is in no pose",
    Annotations(POINTS, posed=False),
)


def _skeletons_differ(classes: Sequence[DatasetClass]) -> bool:
    return len({len(item.skeleton.nodes) for item in classes if item.skeleton}) > 1


SKELETON_PADDED = Loss(
    "skeleton.padded",
    Kind.degraded,
    "a shorter skeleton filled up with absent joints",
    Annotations(POINTS, always=False, lone=False),
    among=_skeletons_differ,
)

LOSSES = (
    *cut_to_image(POINTS),
    *MERGED_JOINTS,
    NO_POSE,
    SKELETON_PADDED,
    UNSUPPORTED["bbox"],
    UNSUPPORTED["polygon"],
    UNSUPPORTED["polyline"],
    *OF_LAYOUT,
)
