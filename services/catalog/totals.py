"""What a dataset's images amount to, written beside them as they change."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.shapes import Extents
from services.database.tables import (
    annotation_totals,
    class_set_members,
    class_sets,
    image_totals,
)

#: The classes of an image's annotations, by position in the dataset's list.
ClassSet = frozenset[int]


@dataclass(frozen=True, slots=True)
class CountedImage:
    """What counts of an image; sizes in bytes, width and height in pixels."""

    path: str
    status: str
    width: int
    height: int
    size: int
    annotation_bytes: int
    class_set_number: int
    #: An archive holds it under another name.
    is_renamed: bool
    extents: Extents


def class_set_numbers(
    connection: Connection, dataset_id: str, wanted: Collection[ClassSet]
) -> dict[ClassSet, int]:
    """The numbers of class sets in the dataset, given to those that are new.

    The dataset's row is locked: numbers are given one at a time.
    """
    keys = {_key(class_set): class_set for class_set in wanted}
    mine = class_sets.c.dataset_id == dataset_id
    found = {
        keys[row.key]: row.number
        for row in connection.execute(
            select(class_sets.c.key, class_sets.c.number).where(mine, class_sets.c.key.in_(keys))
        )
    }
    new = [(key, class_set) for key, class_set in keys.items() if class_set not in found]
    if not new:
        return found
    last = connection.scalar(select(func.max(class_sets.c.number)).where(mine)) or 0
    found |= {class_set: number for number, (_, class_set) in enumerate(new, last + 1)}
    connection.execute(
        class_sets.insert(),
        [{"dataset_id": dataset_id, "number": found[item], "key": key} for key, item in new],
    )
    members = [
        {"dataset_id": dataset_id, "class_id": class_id, "class_set_number": found[class_set]}
        for _, class_set in new
        for class_id in class_set
    ]
    if members:
        connection.execute(class_set_members.insert(), members)
    return found


def _key(class_set: ClassSet) -> str:
    return hashlib.sha256(",".join(map(str, sorted(class_set))).encode()).hexdigest()


class TotalsChange:
    """Adds images to the totals of a dataset, and takes others away."""

    def __init__(self, dataset_id: str, class_ids: Mapping[str, int]) -> None:
        """`class_ids`: the position of every class in the dataset's list."""
        self._dataset_id = dataset_id
        self._class_ids = class_ids
        self._images: dict[tuple[Any, ...], list[int]] = {}
        self._annotations: dict[tuple[Any, ...], list[int]] = {}

    def add(self, image: CountedImage) -> None:
        """Counts an image that is new."""
        self._count(image, 1)

    def take_away(self, image: CountedImage) -> None:
        """Counts an image no longer, as it was."""
        self._count(image, -1)

    def rename(self, path: str, status: str, class_set_number: int) -> None:
        """Counts an image, counted already, as one that archives hold under another name."""
        _add(self._images, (status, class_set_number), (0, 1, -_is_foldered(path), 0, 0, 0, 0))

    def write(self, connection: Connection) -> None:
        """Writes the change. The dataset's row is locked: its totals change one at a time."""
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
                insert = (
                    sqlite.insert(table)
                    if connection.dialect.name == "sqlite"
                    else postgresql.insert(table)
                )
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
        image_key = (image.status, image.class_set_number)
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
