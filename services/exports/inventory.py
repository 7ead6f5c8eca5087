"""The inventory: what the store holds against what the record knows, in both directions.

Only what is below the id of one of this record's organizations is looked at: another Cartouche
may share the buckets. Each organization is read in pages, in the order of keys, so that memory does
not grow with the bucket.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TypeVar

from sqlalchemy import ColumnElement, exists, select, union

from services.catalog.content import forget_content, own_prefix, release_objects
from services.database.engine import Database
from services.database.tables import (
    contents,
    exports,
    images,
    organizations,
    released_objects,
)
from services.exports.model import Status, archive_key, export_prefix
from services.storage import ObjectStore

logger = logging.getLogger(__name__)

#: Objects of an export that the record does not know may be a moment older than its row, or
#: younger than its deletion: longer than the longest call, and than a worker's last words.
MARGIN = timedelta(days=1)
_PAGE = 500
#: Objects that are looked for one by one, as the list did not have them.
_LOOKS = 1_000

T = TypeVar("T")


@dataclass(slots=True)
class Inventory:
    """What does not fit."""

    #: Exports below whose prefix objects lie, and which the record does not know.
    orphans: list[str] = field(default_factory=list)
    orphan_objects: int = 0
    orphan_bytes: int = 0
    #: Ids of completed exports whose archive is not in the store.
    missing: list[str] = field(default_factory=list)
    #: Keys of unfinished uploads that no export waits for.
    uploads: list[str] = field(default_factory=list)
    #: Objects of the images bucket, of Cartouche's own, that nothing in the record refers to.
    stray_images: int = 0
    stray_bytes: int = 0
    #: SHA-256 of bytes that the record says are in the images bucket, and are not.
    missing_images: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether all fits."""
        return not (
            self.orphans or self.missing or self.uploads or self.stray_images or self.missing_images
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store holds of an export."""

    export_id: str
    objects: int
    size: int
    newest: datetime
    has_archive: bool


def take_inventory(
    database: Database,
    store: ObjectStore,
    *,
    margin: timedelta = MARGIN,
    removes: bool = False,
) -> Inventory:
    """Compares bucket and record; with `removes` clears away what no export needs.

    Only what is older than `margin` counts.

    Raises:
        StorageError: as the store says.
        Unavailable: the database is away.
    """
    with database.read() as connection:
        owners = list(connection.scalars(select(organizations.c.id).order_by(organizations.c.id)))
    comparison = _Comparison(database, store, datetime.now(UTC) - margin, removes)
    for organization_id in owners:
        comparison.of_exports(organization_id)
        comparison.of_images(organization_id)
    comparison.of_uploads(set(owners))
    return comparison.found


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Takes an inventory: what is older than `before` counts, and goes where `removes`."""

    database: Database
    store: ObjectStore
    before: datetime
    removes: bool
    found: Inventory = field(default_factory=Inventory)

    def of_exports(self, organization_id: str) -> None:
        """The exports bucket. Both sides are in the order of the exports' ids, so that a page of
        the one is compared with a range of the other."""
        last = ""
        for page in _pages(_stored(self.store, organization_id)):
            known = _known(self.database, [stored.export_id for stored in page])
            for stored in page:
                if stored.export_id not in known and stored.newest < self.before:
                    self._orphan(organization_id, stored)
            listed = {stored.export_id for stored in page if stored.has_archive}
            newest = page[-1].export_id
            self._look_for_archives(organization_id, (last, newest), listed)
            last = newest
        self._look_for_archives(organization_id, (last, None), ())

    def _orphan(self, organization_id: str, stored: _Stored) -> None:
        self.found.orphans.append(stored.export_id)
        self.found.orphan_objects += stored.objects
        self.found.orphan_bytes += stored.size
        if self.removes:
            prefix = export_prefix(organization_id, stored.export_id)
            self.store.delete_prefix(self.store.exports_bucket, prefix)
            logger.warning("objects of no export were removed", extra={"prefix": prefix})

    def _look_for_archives(
        self, organization_id: str, between: tuple[str, str | None], listed: Collection[str]
    ) -> None:
        """Completed exports of the record, by a range of ids, whose archives were not listed."""
        query = select(exports.c.id).where(
            exports.c.organization_id == organization_id,
            *_within(exports.c.id, between),
            exports.c.status == Status.completed,
            ~exports.c.deleted,
            exports.c.completed_at < self.before.timestamp(),
        )
        with self.database.snapshot() as connection:
            found = connection.execute(query, execution_options={"yield_per": _PAGE}).scalars()
            absent = [export_id for export_id in found if export_id not in listed]
        for export_id in absent:
            # It may have come since the list was made.
            key = archive_key(organization_id, export_id)
            if self.store.stat(self.store.exports_bucket, key) is None:
                self.found.missing.append(export_id)
                logger.error("an archive is missing", extra={"export_id": export_id})

    def of_uploads(self, owners: set[str]) -> None:
        """Unfinished uploads, of these organizations."""
        uploads = (
            upload
            for upload in self.store.list_uploads()
            if upload.key.split("/", 1)[0] in owners and upload.started_at < self.before
        )
        for page in _pages(uploads):
            query = select(exports.c.upload_id).where(
                exports.c.upload_id.in_([upload.upload_id for upload in page])
            )
            with self.database.read() as connection:
                known = set(connection.scalars(query))
            for upload in page:
                if upload.upload_id in known:
                    continue
                self.found.uploads.append(upload.key)
                if self.removes:
                    self.store.abort_upload(upload.key, upload.upload_id)

    def of_images(self, organization_id: str) -> None:
        """What Cartouche stored in the images bucket; objects that its owner put there are his.

        Both sides are in the order of SHA-256, as above. What a call is about to record is younger
        than `before`.
        """
        last = ""
        listed = self.store.list(self.store.images_bucket, own_prefix(organization_id))
        for page in _pages(listed):
            keys = {info.key: _sha256_of(info.key) for info in page}
            known = _known_objects(self.database, keys)
            strays = [
                info for info in page if info.key not in known and info.modified_at < self.before
            ]
            self.found.stray_images += len(strays)
            self.found.stray_bytes += sum(info.size for info in strays)
            if self.removes and strays:
                self.store.delete_many(self.store.images_bucket, [info.key for info in strays])
                logger.warning("images of no record were removed", extra={"count": len(strays)})
            newest = max(keys.values())
            self._look_for_images(organization_id, (last, newest), keys.keys())
            last = max(last, newest)
        self._look_for_images(organization_id, (last, None), ())

    def _look_for_images(
        self, organization_id: str, between: tuple[str, str | None], listed: Collection[str]
    ) -> None:
        """Contents of the record, by a range of SHA-256: those whose objects were not in the list,
        which the next import is to send again, and those that no image has, as version 0.2.0 left
        them."""
        is_used = exists().where(
            images.c.sha256 == contents.c.sha256, images.c.object_key == contents.c.object_key
        )
        query = select(contents.c.sha256, contents.c.object_key, is_used.label("is_used")).where(
            contents.c.organization_id == organization_id,
            *_within(contents.c.sha256, between),
            contents.c.object_key.startswith(own_prefix(organization_id), autoescape=True),
        )
        with self.database.snapshot() as connection:
            rows = [
                row
                for row in connection.execute(query, execution_options={"yield_per": _PAGE})
                if row.object_key not in listed or not row.is_used
            ]
        if self.removes and (unused := [row for row in rows if not row.is_used][:_LOOKS]):
            with self.database.write() as connection:
                # They are looked at again before they go.
                release_objects(
                    connection, organization_id, [(row.object_key, row.sha256) for row in unused]
                )
        absent = [row for row in rows if row.is_used and row.object_key not in listed]
        for row in absent[:_LOOKS]:
            # It may have come since the list was made.
            if self.store.stat(self.store.images_bucket, row.object_key) is None:
                self.found.missing_images.append(row.sha256)
                logger.error("an image is missing", extra={"object_key": row.object_key})
                if self.removes:
                    forget_content(self.database, organization_id, row.sha256)


def _within(
    column: ColumnElement[str], between: tuple[str, str | None]
) -> list[ColumnElement[bool]]:
    """Above the one, and up to the other; None: to the end, as no text comes last everywhere."""
    first, last = between
    return [column > first, *([column <= last] if last is not None else [])]


def _sha256_of(key: str) -> str:
    return key.rsplit("/", 1)[1][:64]


def _known_objects(database: Database, keys: dict[str, str]) -> set[str]:
    """Those of the keys, of which the SHA-256 are given, that the record knows."""
    hashes = set(keys.values())
    query = union(
        # By what is indexed.
        select(contents.c.object_key).where(
            contents.c.organization_id.in_({key.split("/", 1)[0] for key in keys}),
            contents.c.sha256.in_(hashes),
        ),
        select(images.c.object_key).where(images.c.sha256.in_(hashes)),
        # These go by themselves.
        select(released_objects.c.object_key).where(released_objects.c.object_key.in_(keys)),
    )
    with database.read() as connection:
        return set(connection.scalars(query))


def _stored(store: ObjectStore, organization_id: str) -> Iterator[_Stored]:
    """What the store holds of an organization's exports, by export, in the order of keys."""
    prefix = f"{organization_id}/"
    listed = store.list(store.exports_bucket, prefix)
    for export_id, objects in groupby(listed, lambda info: info.key.split("/")[1]):
        count, size, newest, has_archive = 0, 0, datetime.min.replace(tzinfo=UTC), False
        archive = archive_key(organization_id, export_id)
        for info in objects:
            count += 1
            size += info.size
            newest = max(newest, info.modified_at)
            has_archive = has_archive or info.key == archive
        yield _Stored(export_id, count, size, newest, has_archive)


def _known(database: Database, export_ids: list[str]) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(exports.c.id).where(exports.c.id.in_(export_ids))))


def _pages(items: Iterator[T]) -> Iterator[list[T]]:
    page: list[T] = []
    for item in items:
        page.append(item)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
