"""What YOLO loses: as boxes, or as polygons where a class of the archive is one of polygons."""

from collections.abc import Sequence
from dataclasses import replace

from services.catalog.model import DatasetClass
from services.catalog.shapes import Shape
from services.formats.common.losses import (
    AREAS,
    POLYGON_AS_BOX,
    TURNED_AS_BOX,
    TURNED_AS_POLYGON,
    UNSUPPORTED,
    Annotations,
    Kind,
    Loss,
    cut_to_image,
)
from services.formats.common.yolo_losses import OF_LAYOUT

BOX_AS_POLYGON = Loss(
    "box.as_polygon",
    Kind.degraded,
    "a box as a polygon of its corners",
    Annotations(frozenset((Shape.bbox,))),
)
HOLES_BRIDGED = Loss(
    "polygon.holes_bridged",
    Kind.degraded,
    "a polygon's parts and holes joined by seams",
    Annotations(frozenset((Shape.polygon_rings,)), always=False),
)


def has_polygons(classes: Sequence[DatasetClass]) -> bool:
    """Whether an archive of these classes has polygons for rows."""
    return any(item.type == "polygon" for item in classes)


def _has_boxes(classes: Sequence[DatasetClass]) -> bool:
    return not has_polygons(classes)


LOSSES = (
    *cut_to_image(AREAS),
    UNSUPPORTED["polyline"],
    UNSUPPORTED["keypoint"],
    *(replace(row, among=_has_boxes) for row in (TURNED_AS_BOX, POLYGON_AS_BOX)),
    *(
        replace(row, among=has_polygons)
        for row in (BOX_AS_POLYGON, TURNED_AS_POLYGON, HOLES_BRIDGED)
    ),
    *OF_LAYOUT,
)
