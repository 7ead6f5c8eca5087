"""What Pascal VOC loses."""

from services.catalog.shapes import POINTS
from services.formats.common.losses import (
    CLASS_NAME_NOT_XML,
    EVERY_SHAPE,
    FLATTENED,
    MERGED_JOINTS,
    POLYGON_AS_BOX,
    TURNED_AS_BOX,
    Annotations,
    Kind,
    Loss,
    Written,
    cut_to_image,
    unsupported,
)

NO_POLYLINES = unsupported("polyline", "Pascal VOC has no polylines")
NO_KEYPOINTS = unsupported("keypoint", "Pascal VOC has no keypoints", posed=False)
POSE_AS_BOX = Loss(
    "pose.as_box",
    Kind.degraded,
    "a pose as the box around it",
    Annotations(POINTS, always=False, lone=False),
)
ROUNDED = Loss("box.rounded", Kind.degraded, "rounded to whole pixels", Written())
WIDENED = Loss("box.widened", Kind.degraded, "a box of less than a pixel, widened to one")
NAME_IS_COMMENT = Loss(
    "image.name_is_comment",
    Kind.degraded,
    "Datumaro takes a name in a list that begins with # for a comment",
)

LOSSES = (
    *cut_to_image(EVERY_SHAPE),
    *MERGED_JOINTS,
    TURNED_AS_BOX,
    POLYGON_AS_BOX,
    POSE_AS_BOX,
    NO_POLYLINES,
    NO_KEYPOINTS,
    ROUNDED,
    WIDENED,
    CLASS_NAME_NOT_XML,
    FLATTENED,
    NAME_IS_COMMENT,
)
