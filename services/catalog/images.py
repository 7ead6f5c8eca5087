"""Images and their annotations: checked, then put into a dataset many at a time."""

import hashlib
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from struct import Struct
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, bindparam, case, exists, func, select

from services.catalog.annotations import NORMALISED, ValidAnnotations, normalise
from services.catalog.content import Content, release_objects, settle_contents
from services.catalog.datasets import append_classes
from services.catalog.model import IMAGE_STATUSES, SPLITS, ClassAttribute, DatasetClass
from services.catalog.names import (
    archive_name,
    folded,
    folders_of,
    has_image_extension,
    name_key,
    safe_name,
    split_extension,
)
from services.catalog.shapes import Extents
from services.catalog.totals import CountedImage, TotalsChange, class_set_numbers
from services.database.among import among
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import datasets, images
from services.errors import Invalid
from services.texts import quoted

MAX_PATH_BYTES = 1024
_SUM_BYTES = hashlib.sha256().digest_size
_SOURCE_SUM = Struct(f">B{_SUM_BYTES}sqi")
#: Bytes of annotations of one image that are read together with those of others.
_AT_ONCE = 16 * 1024
_LARGE = 1024 * 1024
_one_large = threading.Lock()
#: What counts of an image that gets a number in its name.
_RENAMED = (images.c.path, images.c.number, images.c.status, images.c.class_set_number)
#: What counts of an image that changes or goes.
COUNTED = (
    images.c.path,
    images.c.number,
    images.c.collides,
    images.c.class_set_number,
    images.c.status,
    images.c.width,
    images.c.height,
    images.c.size,
    case((func.length(images.c.annotations) <= _AT_ONCE, images.c.annotations)).label(
        "annotations"
    ),
)


class PutResult(StrEnum):
    """What became of an image."""

    created = "created"
    updated = "updated"
    unchanged = "unchanged"
    #: The bytes that were said to be stored are so no longer.
    content_needed = "content_needed"


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that can be stored, as far as it can be known before its bytes."""

    path: str
    status: str
    split: str | None
    annotations: ValidAnnotations
    #: The SHA-256 of the annotations as they came.
    annotations_sha256: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """An image that is there already, perhaps: said by sums."""

    path: str
    status: str
    split: str | None
    sha256: str
    #: The SHA-256 of the annotations as they would come.
    annotations_sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The outcome for one image."""

    path: str
    result: PutResult
    image_id: str
    annotation_count: int
    #: Whether an update brought other bytes than the path held.
    is_replaced: bool = False
    #: The size that the same bytes had, where they have another now that they are measured again.
    corrected_from: tuple[int, int] | None = None
    #: Where its bytes lie, which may have been stored before under another key.
    object_key: str = ""


def check_image(path: str, status: str, split: str, annotations: bytes) -> CheckedImage:
    """Validates what comes with an image.

    Raises:
        Invalid: a field is wrong; it says which and what is valid.
    """
    status, valid_split = _checked_place(path, status, split)
    return CheckedImage(
        path,
        status,
        valid_split,
        normalise(annotations or b"[]"),
        hashlib.sha256(annotations).digest(),
    )


def check_offer(
    path: str, status: str, split: str, sha256: str, annotations_sha256: bytes
) -> Offer:
    """Validates what is said of an image.

    Raises:
        Invalid: a field is wrong; it says which and what is valid.
    """
    if len(annotations_sha256) != _SUM_BYTES:
        raise Invalid.of("annotations_sha256", f"has {len(annotations_sha256)} bytes; give 32")
    status, valid_split = _checked_place(path, status, split)
    return Offer(path, status, valid_split, sha256, annotations_sha256)


def _source_sum(annotations_sha256: bytes, first: int, count: int) -> bytes:
    """What an image keeps of the annotations as they came. It holds for as long as they have these
    numbers: a server of an older version changes them, and leaves the sum."""
    return _SOURCE_SUM.pack(NORMALISED, annotations_sha256, first, count)


def _checked_place(path: str, status: str, split: str) -> tuple[str, str | None]:
    """Status and split of an image, both valid, as is its path."""
    if (
        not path
        or path.startswith("/")
        or any(part in ("", ".", "..") for part in path.split("/"))
        or len(path.encode()) > MAX_PATH_BYTES
    ):
        raise Invalid.of(
            "path",
            "give a relative path with / between folders, without empty, '.' or '..' parts, "
            f"of at most {MAX_PATH_BYTES} bytes",
        )
    status = status or "new"
    if status not in IMAGE_STATUSES:
        raise Invalid.of("status", f"{quoted(status)} is not one of {', '.join(IMAGE_STATUSES)}")
    if split and split not in SPLITS:
        raise Invalid.of("split", f"{quoted(split)} is not one of {', '.join(SPLITS)}, or empty")
    return status, split or None


@dataclass(slots=True)
class _Batch:
    """Rows to write, collected so that each kind goes in one statement."""

    inserts: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    #: Of images that stay as they are.
    source_sums: list[dict[str, Any]] = field(default_factory=list)
    #: Key and SHA-256 of what an image uses no longer.
    released: list[tuple[str, str]] = field(default_factory=list)


def put_images(
    database: Database,
    organization_id: str,
    dataset_id: str,
    put: Sequence[tuple[CheckedImage, Content]],
) -> list[StoredImage]:
    """Stores images in one transaction, in order; durable when it returns.

    A path that is there already is replaced; one that would not change stays untouched.
    A path may stand in `put` once.

    Raises:
        Invalid: a class name cannot be appended to the dataset.
        NotFound: the dataset was deleted.
    """
    batch = _Batch()
    with database.write() as connection:
        classes = append_classes(connection, dataset_id, _classes_of(put))
        keys = settle_contents(connection, organization_id, [content for _, content in put])
        class_ids = {item.name: index for index, item in enumerate(classes)}
        class_set_of = {
            image.path: frozenset(class_ids[name] for name in image.annotations.class_types)
            for image, _ in put
        }
        set_numbers = class_set_numbers(connection, dataset_id, {*class_set_of.values()})
        change = TotalsChange(dataset_id, class_ids)
        image_number, annotation_number = connection.execute(
            select(datasets.c.image_number, datasets.c.annotation_number).where(
                datasets.c.id == dataset_id
            )
        ).one()
        known = {
            row.path: row
            for row in connection.execute(
                select(
                    *COUNTED,
                    images.c.id,
                    images.c.split,
                    images.c.sha256,
                    images.c.object_key,
                    images.c.first_annotation_number,
                    images.c.source_sum,
                ).where(
                    images.c.dataset_id == dataset_id,
                    among(connection, images.c.path, [image.path for image, _ in put]),
                )
            )
        }
        stored: list[StoredImage] = []
        for image, content in put:
            if content.sha256 not in keys:
                stored.append(StoredImage(image.path, PutResult.content_needed, "", 0))
                continue
            content = replace(content, object_key=keys[content.sha256])
            row = known.get(image.path)
            before = b"" if row is None else _annotations(connection, row)
            count = image.annotations.count
            if row is not None and _same(row, before, image, content):
                unchanged = StoredImage(
                    image.path, PutResult.unchanged, row.id, count, object_key=content.object_key
                )
                stored.append(unchanged)
                source_sum = _source_sum(
                    image.annotations_sha256, row.first_annotation_number, count
                )
                if row.source_sum is None or bytes(row.source_sum) != source_sum:
                    batch.source_sums.append({"changed_id": row.id, "source_sum": source_sum})
                continue
            first = annotation_number + 1
            if row is not None and before == image.annotations.document:
                first = row.first_annotation_number
            else:
                annotation_number += count
            set_number = set_numbers[class_set_of[image.path]]
            values = {**_values(image, content, first), "class_set_number": set_number}
            if row is None:
                image_number += 1
                number, collides, image_id = image_number, False, str(uuid.uuid4())
                batch.inserts.append(
                    {
                        "id": image_id,
                        "dataset_id": dataset_id,
                        "number": number,
                        "name_key": name_key(image.path),
                        "collides": collides,
                        **values,
                    }
                )
                created = StoredImage(
                    image.path, PutResult.created, image_id, count, object_key=content.object_key
                )
                stored.append(created)
            else:
                number, collides, image_id = row.number, row.collides, row.id
                batch.updates.append({"changed_id": image_id, **values})
                change.take_away(_counted(row, before))
                if row.object_key != content.object_key:
                    batch.released.append((row.object_key, row.sha256))
                stored.append(_updated(row, content, count))
            change.add(
                CountedImage(
                    path=image.path,
                    status=image.status,
                    width=content.width,
                    height=content.height,
                    size=content.size,
                    annotation_bytes=len(image.annotations.document),
                    class_set_number=set_number,
                    is_renamed=archive_name(image.path, number, collides) != image.path,
                    extents=image.annotations.extents,
                )
            )
        _write(connection, batch)
        _find_collisions(connection, dataset_id, batch, change)
        change.write(connection)
        release_objects(connection, organization_id, batch.released)
        connection.execute(
            datasets.update()
            .where(datasets.c.id == dataset_id)
            .values(image_number=image_number, annotation_number=annotation_number)
        )
    return stored


def unchanged_images(
    database: Database,
    dataset_id: str,
    offers: Sequence[Offer],
    known: Mapping[str, Content],
) -> dict[str, StoredImage]:
    """Those of the offered images that the dataset has just so, by path.

    Args:
        database: the record.
        dataset_id: the dataset.
        offers: images, each path once.
        known: what the organization has stored of what they name, by SHA-256.
    """
    if not offers:
        return {}
    query = (
        select(
            images.c.id,
            images.c.path,
            images.c.status,
            images.c.split,
            images.c.sha256,
            images.c.width,
            images.c.height,
            images.c.object_key,
            images.c.source_sum,
            images.c.first_annotation_number,
            images.c.annotation_count,
        )
        .join(datasets, datasets.c.id == images.c.dataset_id)
        .where(images.c.dataset_id == dataset_id, datasets.c.deleted_name.is_(None))
    )
    offered = {offer.path: offer for offer in offers}
    with database.read() as connection:
        rows = connection.execute(query.where(among(connection, images.c.path, offered))).all()
    found = {}
    for image_id, path, *state, source_sum, first, count in rows:
        offer = offered[path]
        content = known.get(offer.sha256)
        if (
            content is not None
            and state
            == [
                *(offer.status, offer.split, offer.sha256),
                *(content.width, content.height, content.object_key),
            ]
            and source_sum is not None
            and bytes(source_sum) == _source_sum(offer.annotations_sha256, first, count)
        ):
            found[path] = StoredImage(path, PutResult.unchanged, image_id, count)
    return found


def _updated(row: Any, content: Content, count: int) -> StoredImage:
    is_replaced = row.sha256 != content.sha256
    old = row.width, row.height
    corrected_from = None
    if not is_replaced and old != (content.width, content.height):
        corrected_from = old
    return StoredImage(
        row.path,
        PutResult.updated,
        row.id,
        count,
        is_replaced,
        corrected_from,
        content.object_key,
    )


def _annotations(connection: Connection, row: Any) -> bytes:
    """The annotations of an image that is there; large ones come one at a time."""
    if row.annotations is not None:
        return bytes(row.annotations)
    query = select(images.c.annotations).where(images.c.id == row.id)
    return bytes(connection.execute(query).scalar_one())


def counted_image(connection: Connection, row: Any) -> CountedImage:
    """An image as it was counted when its row was written, of which there are `COUNTED` and the
    id."""
    return _counted(row, _annotations(connection, row))


def _counted(row: Any, document: bytes) -> CountedImage:
    return CountedImage(
        path=row.path,
        status=row.status,
        width=row.width,
        height=row.height,
        size=row.size,
        annotation_bytes=len(document),
        class_set_number=row.class_set_number,
        is_renamed=archive_name(row.path, row.number, row.collides) != row.path,
        extents=_extents(document),
    )


def _classes_of(put: Sequence[tuple[CheckedImage, Content]]) -> list[DatasetClass]:
    """The classes that the annotations name, each with the attributes that they carry, in
    order of first appearance."""
    types: dict[str, str] = {}
    attributes: dict[str, dict[str, str]] = {}
    for image, _ in put:
        for name, kind in image.annotations.class_types.items():
            types.setdefault(name, kind)
        for name, found in image.annotations.attribute_types.items():
            known = attributes.setdefault(name, {})
            for attribute, kind in found.items():
                known.setdefault(attribute, kind)
    return [
        DatasetClass(
            name,
            kind,
            attributes=tuple(ClassAttribute(*item) for item in attributes.get(name, {}).items()),
        )
        for name, kind in types.items()
    ]


def _extents(document: bytes) -> Extents:
    # Parsed, a document takes twenty times its bytes: of large ones there is one at a time.
    with _one_large if len(document) > _LARGE else nullcontext():
        return Extents(orjson.loads(document))


def _same(row: Any, before: bytes, image: CheckedImage, content: Content) -> bool:
    return (
        row.sha256 == content.sha256
        and (row.width, row.height) == (content.width, content.height)
        and row.object_key == content.object_key
        and row.status == image.status
        and row.split == image.split
        and before == image.annotations.document
    )


def _values(image: CheckedImage, content: Content, first: int) -> dict[str, Any]:
    return {
        "path": image.path,
        "status": image.status,
        "split": image.split,
        "width": content.width,
        "height": content.height,
        "object_key": content.object_key,
        "size": content.size,
        "crc32": content.crc32,
        "sha256": content.sha256,
        "first_annotation_number": first,
        "annotation_count": image.annotations.count,
        "annotations": image.annotations.document,
        "source_sum": _source_sum(image.annotations_sha256, first, image.annotations.count),
    }


def _write(connection: Connection, batch: _Batch) -> None:
    if batch.inserts:
        connection.execute(
            images.insert().values(created_at=now(), updated_at=now()), batch.inserts
        )
    if batch.updates:
        connection.execute(
            images.update().where(images.c.id == bindparam("changed_id")).values(updated_at=now()),
            batch.updates,
        )
    if batch.source_sums:
        connection.execute(
            images.update().where(images.c.id == bindparam("changed_id")), batch.source_sums
        )


def _find_collisions(
    connection: Connection, dataset_id: str, batch: _Batch, change: TotalsChange
) -> None:
    """Marks the images, new and old, whose `name_key` an image with a smaller path has too, and
    those whose whole name is that of a folder of another image."""
    keys = {values["name_key"] for values in batch.inserts}
    if not keys:
        return
    earlier = images.alias("earlier")
    found = connection.execute(
        images.update()
        .where(
            images.c.dataset_id == dataset_id,
            images.c.name_key.in_(keys),
            ~images.c.collides,
            exists().where(
                earlier.c.dataset_id == images.c.dataset_id,
                earlier.c.name_key == images.c.name_key,
                earlier.c.path < images.c.path,
            ),
        )
        .values(collides=True)
        .returning(*_RENAMED)
    )
    for row in [*found.all(), *_mark_like_folders(connection, dataset_id, batch)]:
        if archive_name(row.path, row.number, False) == row.path:
            change.rename(row.path, row.status, row.class_set_number)


def _mark_like_folders(
    connection: Connection, dataset_id: str, batch: _Batch
) -> Sequence[Row[Any]]:
    """Marks the images, new and old, whose whole name is that of a folder of another image, new
    or old. A folder is never named like an image file, so few names come into question."""
    whole = {values["id"]: folded(safe_name(values["path"])) for values in batch.inserts}
    folders = {folder for key in whole.values() for folder in folders_of(key)}
    mine = and_(images.c.dataset_id == dataset_id, ~images.c.collides)
    ids = {
        row.id
        for row in connection.execute(
            select(images.c.id, images.c.path).where(
                mine, images.c.name_key.in_({split_extension(folder)[0] for folder in folders})
            )
        )
        if folded(safe_name(row.path)) in folders
    }
    for values in batch.inserts:
        key = whole[values["id"]]
        if not has_image_extension(key) and connection.scalar(
            # "0" is what follows "/".
            select(images.c.id)
            .where(
                images.c.dataset_id == dataset_id,
                images.c.name_key > f"{key}/",
                images.c.name_key < f"{key}0",
            )
            .limit(1)
        ):
            ids.add(values["id"])
    if not ids:
        return []
    return connection.execute(
        images.update().where(mine, images.c.id.in_(ids)).values(collides=True).returning(*_RENAMED)
    ).all()
