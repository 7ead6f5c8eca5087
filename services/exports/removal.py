"""Removing what an export left in the store: all of it when deleted, the work when ended."""

from sqlalchemy import and_, exists, or_, select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import export_segments, exports
from services.exports.model import (
    Status,
    Step,
    archive_key,
    export_prefix,
    staging_prefix,
)
from services.storage import ObjectStore


def remove_objects(database: Database, store: ObjectStore, export_id: str) -> None:
    """Clears the store after a deleted or ended export; does nothing while anybody works.

    Raises:
        StorageUnavailable: the store is away; the reconciler rings again.
    """
    busy = exists().where(
        export_segments.c.export_id == exports.c.id, export_segments.c.lease_until >= now()
    )
    query = select(exports).where(
        exports.c.id == export_id,
        or_(exports.c.deleted, and_(exports.c.step == Step.done, exports.c.staged)),
        or_(exports.c.lease_until.is_(None), exports.c.lease_until < now()),
        ~busy,
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return
    archive = archive_key(row.organization_id, row.id)
    if row.upload_id:
        store.abort_upload(archive, row.upload_id)
    # A worker that died may have begun others that the record does not know.
    for upload in list(store.list_uploads(archive)):
        if upload.key == archive:
            store.abort_upload(archive, upload.upload_id)
    if row.deleted:
        store.delete_prefix(store.exports_bucket, export_prefix(row.organization_id, row.id))
        with database.write() as connection:
            connection.execute(exports.delete().where(exports.c.id == row.id, exports.c.deleted))
        return
    if row.status == Status.failed:
        store.delete(store.exports_bucket, archive)
    store.delete_prefix(store.exports_bucket, staging_prefix(row.organization_id, row.id))
    with database.write() as connection:
        connection.execute(export_segments.delete().where(export_segments.c.export_id == row.id))
        connection.execute(
            exports.update()
            .where(exports.c.id == row.id)
            .values(staged=False, upload_id=None, snapshot=None)
        )
