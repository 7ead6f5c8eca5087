"""Which lane the steps of an export take."""

from collections.abc import Sequence

from sqlalchemy import Connection

from services.catalog.model import DatasetClass
from services.catalog.selection import Selection, image_totals_of
from services.exports.model import Lane


def lane_of(
    connection: Connection,
    dataset_id: str,
    classes: Sequence[DatasetClass],
    *,
    class_filter: Sequence[str],
    status_filter: str,
    include_unannotated: bool,
    include_images: bool,
    short_bytes: int,
) -> tuple[Lane, int]:
    """The lane, and what it is judged by: the bytes of the images and annotations that are
    selected now, short up to `short_bytes`."""
    chosen = Selection.of(
        dataset_id,
        classes,
        class_filter=class_filter,
        status=status_filter,
        include_unannotated=include_unannotated,
    )
    totals = image_totals_of(connection, chosen)
    estimated = totals.annotation_bytes + (totals.image_bytes if include_images else 0)
    return (Lane.short if estimated <= short_bytes else Lane.long), estimated
