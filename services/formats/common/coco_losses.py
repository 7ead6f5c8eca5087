"""What COCO documents lose."""

from dataclasses import replace

from services.catalog.shapes import POINTS, Shape
from services.formats.common.losses import (
    AREAS,
    HOLE_FILLED,
    HOLES_MASKED,
    MERGED_JOINTS,
    OUTLINES,
    TURNED_AS_POLYGON,
    Annotations,
    Kind,
    Loss,
    cut_to_image,
    unsupported,
)

NO_POLYLINES = unsupported("polyline", "COCO has no polylines")
KEYPOINT_AS_BOX = Loss(
    "keypoint.as_box",
    Kind.degraded,
    "a keypoint as a box: its class has a skeleton",
    Annotations(POINTS, posed=False, of_skeleton_class=True),
)
#: Catalogs count how far outlines reach, and not the boxes that some came with.
_SOME_OUTLINES = Annotations(OUTLINES, always=False)
BOX_CLAMPED = Loss(
    "outline.box_clamped",
    Kind.clamped,
    "the box that an outline came with reaches over the edge of the image",
    _SOME_OUTLINES,
)
BOX_REPLACED = Loss(
    "outline.box_replaced",
    Kind.degraded,
    "the box that an outline came with has no area on the image; it is the one around the outline",
    _SOME_OUTLINES,
)

OF_DOCUMENTS = (
    *cut_to_image(AREAS | POINTS, keeps_crowds=True),
    *MERGED_JOINTS,
    TURNED_AS_POLYGON,
    replace(HOLES_MASKED, when=Annotations(frozenset((Shape.polygon_rings,)), always=False)),
    # So rare that no forecast counts it.
    replace(HOLE_FILLED, when=None),
    NO_POLYLINES,
    KEYPOINT_AS_BOX,
    BOX_CLAMPED,
    BOX_REPLACED,
)
