"""Removing what an export left in the store: all of it when deleted, the work when ended."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, steps
from services.exports.claims import ExportClaim, count_ended, is_held, lock_turn
from services.exports.model import Status, Step, archive_key, export_prefix, staging_prefix
from services.storage import ObjectStore

#: How long the row of a deleted export stays, as a tombstone, until its objects are swept once
#: more: longer than the longest call of a worker that was presumed dead.
TOMBSTONE = timedelta(minutes=30)


def is_busy(database: Database, claim: ExportClaim) -> bool:
    """Whether a worker still holds a segment of the export: it may be writing yet.

    Raises:
        Unavailable: the database is away.
    """
    query = select(steps.c.number).where(
        steps.c.export_id == claim.export_id, steps.c.kind == Step.segment, steps.c.held
    )
    with database.read() as connection:
        return connection.execute(query).first() is not None


def remove_objects(
    database: Database, store: ObjectStore, claim: ExportClaim, check: Callable[[], None]
) -> None:
    """Clears the store after a deleted or ended export, on which nobody works any more.

    The row of a deleted one stays as a tombstone, is swept once more, and goes then.

    `check` raises where the claim is lost: the export may have been taken up again.

    Raises:
        StorageError: as the store says.
        Unavailable: the database is away.
    """
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        row = connection.execute(select(exports).where(exports.c.id == claim.export_id)).one()
        was_swept = connection.scalar(select(steps.c.done).where(is_held(claim)))
        if was_swept is None:
            # It was taken up again, or deleted.
            return
        if not row.deleted:
            # Nobody takes up again what is half removed.
            connection.execute(exports.update().where(exports.c.id == row.id).values(snapshot=None))
    check()
    archive = archive_key(row.organization_id, row.id)
    if row.upload_id:
        store.abort_upload(archive, row.upload_id)
    # A worker that died may have begun others that the record does not know.
    for upload in list(store.list_uploads(archive)):
        if upload.key == archive:
            store.abort_upload(archive, upload.upload_id)
    check()
    if row.deleted:
        store.delete_prefix(store.exports_bucket, export_prefix(row.organization_id, row.id))
    else:
        if row.status == Status.failed:
            store.delete(store.exports_bucket, archive)
        store.delete_prefix(store.exports_bucket, staging_prefix(row.organization_id, row.id))
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        # What failed may have been cancelled while the store completed its archive.
        is_again = row.status == Status.failed or row.deleted
        again_at = now() + TOMBSTONE.total_seconds() if is_again and not was_swept else None
        removed = connection.execute(
            steps.update().where(is_held(claim)).values(held=False, due_at=again_at, done=is_again)
        )
        if removed.rowcount == 0:
            # It was deleted meanwhile: the next removal takes the archive too.
            return
        count_ended(connection, claim.organization_id, 1)
        if row.deleted and was_swept:
            connection.execute(exports.delete().where(exports.c.id == row.id))
            return
        connection.execute(
            steps.delete().where(steps.c.export_id == row.id, steps.c.kind == Step.segment)
        )
        connection.execute(
            exports.update()
            .where(exports.c.id == row.id)
            .values(staged=False, upload_id=None, snapshot=None)
        )
