"""Deleting images and datasets: gone at once for callers, and row by row in the background.

A deleted dataset is hidden in one short transaction, whatever it holds. Its rows go in slices, so
that nobody waits for locks. Exports keep their rows and archives; the row of their dataset
stays, hidden, as long as one of them does.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.exc import IntegrityError

from services.catalog.content import release_objects
from services.catalog.datasets import Dataset, find_dataset, get_dataset, lock_dataset
from services.catalog.images import COUNTED, counted_image
from services.catalog.totals import TotalsChange
from services.database.engine import Database
from services.database.tables import (
    annotation_totals,
    class_set_members,
    class_sets,
    datasets,
    exports,
    image_totals,
    images,
)

#: Paths that one call deletes at most.
MAX_PATHS = 1_000
#: Rows of a deleted dataset that go in one transaction.
_SLICE = 500
#: Images whose annotations are in memory at the same time.
_AT_ONCE = 20
#: What no name begins with, so that it stands for none: the name of a deleted dataset is free.
_NO_NAME = "\x7f"
#: Where a dataset's rows lie.
_PARTS: tuple[Table, ...] = (
    images,
    class_set_members,
    class_sets,
    image_totals,
    annotation_totals,
)


def delete_images(
    database: Database, organization_id: str, dataset_name: str, paths: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Deletes images with their annotations, in one transaction. Returns the paths that were
    deleted, and those not found.

    Images that got another name in archives on account of a deleted one keep it.

    Raises:
        NotFound: the organization has no such dataset.
    """
    wanted = list(dict.fromkeys(paths))
    found: list[tuple[str, str, str, str]] = []
    with database.write() as connection:
        dataset_id = find_dataset(connection, organization_id, dataset_name).id
        classes = lock_dataset(connection, dataset_id)
        change = TotalsChange(dataset_id, {item.name: n for n, item in enumerate(classes)})
        query = select(*COUNTED, images.c.id, images.c.object_key, images.c.sha256).where(
            images.c.dataset_id == dataset_id, images.c.path.in_(wanted)
        )
        rows = connection.execute(
            query, execution_options={"stream_results": True, "yield_per": _AT_ONCE}
        )
        for row in rows:
            change.take_away(counted_image(connection, row))
            found.append((row.path, row.id, row.object_key, row.sha256))
        _delete(connection, organization_id, [known for _, *known in found])
        change.write(connection)
    gone = {path for path, *_ in found}
    return [p for p in wanted if p in gone], [p for p in wanted if p not in gone]


def delete_dataset(database: Database, organization_id: str, dataset_name: str) -> Dataset:
    """Hides a dataset at once and for ever, which frees its name; its rows and files go in the
    background. Returns it as it was.

    Raises:
        NotFound: the organization has no such dataset.
    """
    found = get_dataset(database, organization_id, dataset_name)
    with database.write() as connection:
        lock_dataset(connection, found.id)
        connection.execute(
            datasets.update()
            .where(datasets.c.id == found.id)
            .values(deleted_name=found.name, name=f"{_NO_NAME}{found.id}")
        )
    return found


def purge(database: Database, slices: int) -> bool:
    """Removes rows of deleted datasets, in so many short transactions at most; whether some are
    left.

    Raises:
        Unavailable: the database is away.
    """
    for _ in range(slices):
        with database.read() as connection:
            row = connection.execute(_with_rows()).first()
        if row is None:
            break
        _purge_slice(database, row.organization_id, row.id)
    else:
        return True
    _remove_empty(database)
    return False


def _with_rows() -> Select[Any]:
    """A deleted dataset that has rows yet."""
    # By an index for each dataset and in its order: PostgreSQL would read all images otherwise.
    some = [
        select(literal(1))
        .where(part.c.dataset_id == datasets.c.id)
        .order_by(images.c.path if part is images else part.primary_key.columns[1])
        .limit(1)
        .correlate(datasets)
        .scalar_subquery()
        for part in _PARTS
    ]
    return (
        select(datasets.c.id, datasets.c.organization_id)
        .where(_is_deleted(), func.coalesce(*some).is_not(None))
        .limit(1)
    )


def _purge_slice(database: Database, organization_id: str, dataset_id: str) -> None:
    """Its images first; of a small dataset everything goes at once."""
    with database.write() as connection:
        query = select(images.c.id, images.c.object_key, images.c.sha256)
        rows = connection.execute(
            query.where(images.c.dataset_id == dataset_id).limit(_SLICE)
        ).all()
        if rows:
            _delete(connection, organization_id, rows)
        left = _SLICE - len(rows)
        for part in _PARTS[1:]:
            if not left:
                return
            key = tuple_(*part.primary_key.columns)
            slice_ = select(*part.primary_key.columns).where(part.c.dataset_id == dataset_id)
            left -= connection.execute(delete(part).where(key.in_(slice_.limit(left)))).rowcount


def _delete(connection: Connection, organization_id: str, found: Sequence[Sequence[str]]) -> None:
    """Deletes images, of which id, object key and SHA-256 are given."""
    connection.execute(images.delete().where(images.c.id.in_([row[0] for row in found])))
    release_objects(connection, organization_id, [(key, sha256) for _, key, sha256 in found])


def _remove_empty(database: Database) -> None:
    """Removes the rows of datasets that nothing refers to."""
    with database.read() as connection:
        found = list(
            connection.scalars(
                select(datasets.c.id).where(_is_deleted(), ~_has_exports()).limit(_SLICE)
            )
        )
    for dataset_id in found:
        try:
            with database.write() as connection:
                connection.execute(
                    datasets.delete().where(datasets.c.id == dataset_id, ~_has_exports())
                )
        except IntegrityError:
            # An export was created at the same moment; it will say that the dataset is gone.
            continue


def _is_deleted() -> ColumnElement[bool]:
    # As its index is searched; no name is empty.
    return datasets.c.deleted_name > ""


def _has_exports() -> ColumnElement[bool]:
    return exists().where(exports.c.dataset_id == datasets.c.id)
