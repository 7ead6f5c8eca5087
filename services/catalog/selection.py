"""The selection: which images and annotations an export takes, as queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, true

from services.catalog.model import DatasetClass
from services.catalog.names import archive_name
from services.catalog.shapes import Shape
from services.database.tables import annotation_totals, class_set_members, image_totals, images

_BATCH = 100
#: Bytes of annotations that come with such a batch; those of an image that has more come alone.
_STREAMED = 16 * 1024
#: Bytes of them that come at once.
_PIECE = 512 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters over a dataset's images. Empty filters take everything."""

    dataset_id: str
    #: Positions in the dataset's class list of the classes that the filter names.
    named_class_ids: tuple[int, ...] = ()
    #: Of classes it does not name, for the joints that belong to a class with a skeleton.
    joint_class_ids: tuple[int, ...] = ()
    status: str = ""
    #: With class ids: keep images that have no annotation of these classes.
    include_unannotated: bool = False

    @classmethod
    def of(
        cls,
        dataset_id: str,
        classes: Sequence[DatasetClass],
        *,
        class_filter: Sequence[str],
        status: str,
        include_unannotated: bool,
    ) -> Self:
        """The filters by class position. A class with a skeleton brings its joints along, which
        are named for other classes."""
        named = frozenset(class_filter)
        joints = {
            node.name
            for item in classes
            if item.name in named and item.skeleton
            for node in item.skeleton.nodes
        } - named
        return cls(
            dataset_id=dataset_id,
            named_class_ids=tuple(i for i, item in enumerate(classes) if item.name in named),
            joint_class_ids=tuple(i for i, item in enumerate(classes) if item.name in joints),
            status=status,
            include_unannotated=include_unannotated,
        )

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Positions of every class that may have selected annotations; empty: all."""
        return self.named_class_ids + self.joint_class_ids

    @property
    def is_doubtful(self) -> bool:
        """Whether only the annotations tell what is selected: a joint may belong to a pose of
        another class."""
        return bool(self.joint_class_ids)


@dataclass(frozen=True, slots=True)
class ImageTotals:
    """What the images of a selection amount to; sizes in bytes. Where the selection is
    doubtful, these are the most there can be."""

    image_count: int
    #: Images that archives hold under another name.
    renamed_count: int
    #: Images in folders that keep their name.
    foldered_count: int
    #: Images that have no selected annotation.
    unannotated_count: int
    #: Of all their annotations, selected or not.
    annotation_count: int
    annotation_bytes: int
    image_bytes: int
    path_bytes: int


@dataclass(frozen=True, slots=True)
class ShapeTotals:
    """Selected annotations of a class and shape."""

    #: Position in the dataset's class list.
    class_id: int
    shape: Shape
    annotation_count: int
    #: Those that reach over the edge of their image, and those with nothing left on it.
    over_count: int
    off_count: int
    #: Their rings, where they are polygons.
    part_count: int


# Not frozen: one is made for each image, and that would take twice the time.
@dataclass(slots=True)
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


def image_totals_of(connection: Connection, selection: Selection) -> ImageTotals:
    """Counts and sizes of a selection's images, whatever their number."""
    totals = image_totals.c
    parts = [totals.dataset_id == selection.dataset_id]
    if selection.status:
        parts.append(totals.status == selection.status)
    annotated = totals.annotation_count > 0
    if selection.class_ids and selection.include_unannotated:
        annotated = _has_class(
            totals.class_set_number, selection.dataset_id, selection.named_class_ids
        )
    elif selection.class_ids:
        parts.append(_has_class(totals.class_set_number, selection.dataset_id, selection.class_ids))
        annotated = true()
    row = connection.execute(
        select(
            *(
                func.coalesce(func.sum(column), 0)
                for column in (
                    totals.image_count,
                    totals.renamed_count,
                    totals.foldered_count,
                    case((annotated, 0), else_=totals.image_count),
                    totals.annotation_count,
                    totals.annotation_bytes,
                    totals.image_bytes,
                    totals.path_bytes,
                )
            )
        ).where(*parts)
    ).one()
    return ImageTotals(*map(int, row))


def shape_totals_of(connection: Connection, selection: Selection) -> list[ShapeTotals]:
    """Counts of a selection's annotations by class and shape, in this order."""
    totals = annotation_totals.c
    parts = [totals.dataset_id == selection.dataset_id]
    if selection.status:
        parts.append(totals.status == selection.status)
    if selection.class_ids:
        parts.append(totals.class_id.in_(selection.class_ids))
    rows = connection.execute(
        select(
            totals.class_id,
            totals.shape,
            func.sum(totals.annotation_count),
            func.sum(totals.over_count),
            func.sum(totals.off_count),
            func.sum(totals.part_count),
        )
        .where(*parts)
        .group_by(totals.class_id, totals.shape)
        .order_by(totals.class_id, totals.shape)
    )
    return [
        ShapeTotals(class_id, Shape(shape), *map(int, counts))
        for class_id, shape, *counts in rows
        if counts[0]
    ]


def _has_class(
    column: ColumnElement[int], dataset_id: str, class_ids: Sequence[int]
) -> ColumnElement[bool]:
    """Whether a class set has one of the classes."""
    return column.in_(
        select(class_set_members.c.class_set_number).where(
            class_set_members.c.dataset_id == dataset_id,
            class_set_members.c.class_id.in_(class_ids),
        )
    )


def _condition(selection: Selection) -> ColumnElement[bool]:
    parts = [images.c.dataset_id == selection.dataset_id]
    if selection.status:
        parts.append(images.c.status == selection.status)
    if selection.class_ids and not selection.include_unannotated:
        parts.append(
            _has_class(images.c.class_set_number, selection.dataset_id, selection.class_ids)
        )
    return and_(*parts)


def _annotations(connection: Connection, image_id: str, size: int) -> bytes:
    """The annotations of an image, in pieces: on its way a piece takes several times its bytes."""
    found = bytearray()
    while len(found) < size:
        piece = func.substr(images.c.annotations, len(found) + 1, _PIECE)
        found += connection.execute(select(piece).where(images.c.id == image_id)).scalar_one()
    return bytes(found)


def selected_images(connection: Connection, selection: Selection) -> Iterator[SelectedImage]:
    """The images of a selection by path, streamed: memory grows neither with the dataset nor
    with the annotations of an image, of which one at a time comes that has many."""
    size = func.length(images.c.annotations)
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
            case((size <= _STREAMED, images.c.annotations)).label("annotations"),
            size.label("annotation_size"),
            images.c.collides,
        )
        .where(_condition(selection))
        .order_by(images.c.path)
    )
    rows = connection.execute(
        query, execution_options={"stream_results": True, "yield_per": _BATCH}
    )
    for (
        image_id,
        number,
        first_annotation_number,
        path,
        *fields,
        annotations,
        annotation_size,
        collides,
    ) in rows:
        if annotations is None:
            annotations = _annotations(connection, image_id, annotation_size)
        name = archive_name(path, number, collides)
        values = [
            image_id,
            number,
            first_annotation_number,
            path,
            name,
            *fields,
            bytes(annotations),
        ]
        yield SelectedImage(*values)
