"""What a dataset's images amount to, written beside them as they change."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.shapes import ShapeExtent
from services.database.tables import annotation_totals, class_sets, image_totals

#: Class sets are named by UUIDs made from their classes in this namespace.
_NAMESPACE = uuid.UUID("5f0a7c52-3d0e-4a42-9d8e-0a6f3f1c7f9d")


@dataclass(frozen=True, slots=True)
class CountedImage:
    """What counts of an image; sizes in bytes, width and height in pixels."""

    path: str
    status: str
    width: int
    height: int
    size: int
    annotation_bytes: int
    #: An archive holds it under another name.
    is_renamed: bool
    extents: tuple[ShapeExtent, ...]


class TotalsChange:
    """Adds images to the totals of a dataset, and takes others away."""

    def __init__(self, dataset_id: str, class_ids: Mapping[str, int]) -> None:
        """`class_ids`: the position of every class in the dataset's list."""
        self._dataset_id = dataset_id
        self._class_ids = class_ids
        self._sets: dict[str, frozenset[int]] = {}
        self._images: dict[tuple[Any, ...], list[int]] = {}
        self._annotations: dict[tuple[Any, ...], list[int]] = {}

    def class_set_id(self, extents: Iterable[ShapeExtent]) -> str:
        """The set of the annotations' classes."""
        found = frozenset(self._class_ids[name] for name in {e.class_name for e in extents})
        words = ",".join(map(str, sorted(found)))
        class_set_id = str(uuid.uuid5(_NAMESPACE, f"{self._dataset_id}:{words}"))
        self._sets[class_set_id] = found
        return class_set_id

    def add(self, image: CountedImage) -> None:
        """Counts an image that is new."""
        self._count(image, 1)

    def take_away(self, image: CountedImage) -> None:
        """Counts an image no longer, as it was."""
        self._count(image, -1)

    def rename(self, path: str, status: str, class_set_id: str) -> None:
        """Counts an image, counted already, as one that archives hold under another name."""
        _add(self._images, (status, class_set_id), (0, 1, -_is_foldered(path), 0, 0, 0, 0))

    def write(self, connection: Connection) -> None:
        """Writes the change. The dataset's row is locked: its totals change one at a time."""
        members = [
            {"dataset_id": self._dataset_id, "class_id": class_id, "class_set_id": class_set_id}
            for class_set_id, class_ids in sorted(self._sets.items())
            for class_id in class_ids
        ]
        if members:
            insert = _insert(connection, class_sets)
            connection.execute(insert.on_conflict_do_nothing(), members)
        for table, changes in (
            (image_totals, self._images),
            (annotation_totals, self._annotations),
        ):
            names = [column.name for column in table.columns]
            rows = [
                dict(zip(names, (self._dataset_id, *key, *values), strict=True))
                for key, values in sorted(changes.items())
                if any(values)
            ]
            if rows:
                insert = _insert(connection, table)
                sums = {
                    column.name: column + insert.excluded[column.name]
                    for column in table.columns
                    if not column.primary_key
                }
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=list(table.primary_key.columns), set_=sums
                    ),
                    rows,
                )

    def _count(self, image: CountedImage, sign: int) -> None:
        image_values = (
            1,
            image.is_renamed,
            not image.is_renamed and _is_foldered(image.path),
            len(image.extents),
            image.size,
            image.annotation_bytes,
            len(image.path.encode()),
        )
        image_key = (image.status, self.class_set_id(image.extents))
        _add(self._images, image_key, [sign * value for value in image_values])
        size = image.width, image.height
        for extent in image.extents:
            key = (image.status, self._class_ids[extent.class_name], extent.shape.value)
            is_off = extent.is_off(*size)
            is_over = is_off or extent.reaches_over(*size)
            values = (1, is_over, is_off, extent.parts)
            _add(self._annotations, key, [sign * value for value in values])


def _is_foldered(path: str) -> bool:
    return "/" in path


def _add(
    changes: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], values: Iterable[int]
) -> None:
    before = changes.get(key)
    changes[key] = (
        list(values) if before is None else [a + b for a, b in zip(before, values, strict=True)]
    )


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
