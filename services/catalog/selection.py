"""The selection: which images and annotations an export takes, as queries."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from services.catalog.names import archive_name
from services.database.tables import image_class_counts, images

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters over a dataset's images. Empty filters take everything."""

    dataset_id: str
    #: Positions in the dataset's class list.
    class_ids: tuple[int, ...] = ()
    status: str = ""
    #: With class ids: keep images that have no annotation of these classes.
    include_unannotated: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """What a selection amounts to; sizes in bytes."""

    image_count: int
    annotation_count: int
    image_bytes: int
    #: Of all annotations of the selected images, filtered or not.
    text_bytes: int


@dataclass(frozen=True, slots=True)
class SelectedImage:
    """One image of a selection, with all its annotations."""

    id: str
    number: int
    first_annotation_number: int
    path: str
    #: Safe and unique in an archive.
    name: str
    status: str
    split: str | None
    width: int
    height: int
    object_key: str
    size: int
    crc32: int
    sha256: str
    annotation_count: int
    annotations: bytes


def _condition(selection: Selection) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = [images.c.dataset_id == selection.dataset_id]
    if selection.status:
        parts.append(images.c.status == selection.status)
    if selection.class_ids and not selection.include_unannotated:
        # Under a name of its own: `totals` joins the table itself.
        wanted = image_class_counts.alias("wanted")
        parts.append(
            exists().where(
                wanted.c.image_id == images.c.id, wanted.c.class_id.in_(selection.class_ids)
            )
        )
    return and_(*parts)


def totals(connection: Connection, selection: Selection) -> Totals:
    """Counts and sizes of a selection; opens no annotation document."""
    condition = _condition(selection)
    image_count, annotation_count, image_bytes, text_bytes = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(images.c.annotation_count), 0),
            func.coalesce(func.sum(images.c.size), 0),
            func.coalesce(func.sum(func.length(images.c.annotations)), 0),
        ).where(condition)
    ).one()
    if selection.class_ids:
        annotation_count = connection.execute(
            select(func.coalesce(func.sum(image_class_counts.c.annotation_count), 0))
            .join(images, images.c.id == image_class_counts.c.image_id)
            .where(condition, image_class_counts.c.class_id.in_(selection.class_ids))
        ).scalar_one()
    return Totals(int(image_count), int(annotation_count), int(image_bytes), int(text_bytes))


def selected_images(connection: Connection, selection: Selection) -> Iterator[SelectedImage]:
    """The images of a selection by path, streamed: memory does not grow with the dataset."""
    earlier = images.alias("earlier")
    # Over the whole dataset, so that a name does not depend on the filters.
    collides = exists().where(
        earlier.c.dataset_id == images.c.dataset_id,
        earlier.c.name_key == images.c.name_key,
        earlier.c.path < images.c.path,
    )
    query = (
        select(
            images.c.id,
            images.c.number,
            images.c.first_annotation_number,
            images.c.path,
            images.c.status,
            images.c.split,
            images.c.width,
            images.c.height,
            images.c.object_key,
            images.c.size,
            images.c.crc32,
            images.c.sha256,
            images.c.annotation_count,
            images.c.annotations,
            collides.label("collides"),
        )
        .where(_condition(selection))
        .order_by(images.c.path)
    )
    rows = connection.execute(
        query, execution_options={"stream_results": True, "yield_per": _BATCH}
    )
    for row in rows:
        yield SelectedImage(
            id=row.id,
            number=row.number,
            first_annotation_number=row.first_annotation_number,
            path=row.path,
            name=archive_name(row.path, row.number, bool(row.collides)),
            status=row.status,
            split=row.split,
            width=row.width,
            height=row.height,
            object_key=row.object_key,
            size=row.size,
            crc32=row.crc32,
            sha256=row.sha256,
            annotation_count=row.annotation_count,
            annotations=bytes(row.annotations),
        )
