"""The record of the work: how an export ends, well or badly, or begins again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, case, null, select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, steps
from services.exports.claims import (
    OWN,
    Claim,
    ExportClaim,
    count_ended,
    is_held_and_wanted,
    lock_turn,
)
from services.exports.model import Stage, Status, Step


@dataclass(frozen=True, slots=True)
class Completion:
    """What is known of an archive that was verified."""

    file_size: int
    crc32: int
    sha256: str | None
    image_count: int
    annotation_count: int
    warnings: dict[str, int]


def complete(
    database: Database, claim: ExportClaim, completion: Completion, retention: timedelta
) -> bool:
    """Ends an export well; False: the claim was lost meanwhile."""
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        result = connection.execute(
            exports.update()
            .where(is_held_and_wanted(claim))
            .values(
                status=Status.completed,
                stage=Stage.done,
                upload_id=None,
                file_size=completion.file_size,
                crc32=completion.crc32,
                sha256=completion.sha256,
                image_count=completion.image_count,
                annotation_count=completion.annotation_count,
                warnings=completion.warnings,
                completed_at=now(),
                expires_at=now() + retention.total_seconds() if retention else None,
                updated_at=now(),
                version=exports.c.version + 1,
            )
            .returning(exports.c.staged)
        ).one_or_none()
        if result is None:
            return False
        end_work(connection, claim.organization_id, [claim.export_id], removes=result.staged)
        return True


def fail(database: Database, organization_id: str, export_id: str, message: str) -> bool:
    """Ends an export badly, with a message that names the cause and what to do.

    False: it has ended already.
    """
    running = and_(exports.c.id == export_id, exports.c.stage != Stage.done, ~exports.c.deleted)
    with database.write() as connection:
        lock_turn(connection, organization_id)
        return _fail(connection, organization_id, export_id, message, running)


def fail_claimed(database: Database, claim: Claim, message: str) -> bool:
    """The same for the export of a claim; False: it has ended already, or the claim was lost."""
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        return _fail(
            connection,
            claim.organization_id,
            claim.export_id,
            message,
            is_held_and_wanted(claim),
        )


def _fail(
    connection: Connection,
    organization_id: str,
    export_id: str,
    message: str,
    condition: ColumnElement[bool],
) -> bool:
    result = connection.execute(
        exports.update()
        .where(condition)
        .values(
            status=Status.failed,
            stage=Stage.done,
            error_message=message,
            staged=True,
            image_count=None,
            annotation_count=None,
            updated_at=now(),
            version=exports.c.version + 1,
        )
    )
    if result.rowcount == 0:
        return False
    end_work(connection, organization_id, [export_id])
    return True


def end_work(
    connection: Connection,
    organization_id: str,
    export_ids: Sequence[str],
    *,
    removes: bool = True,
) -> None:
    """Ends the steps of exports that have ended, whose organization is locked.

    Nobody claims their segments any more; those that are held stay so until their workers
    notice, and the removal of what they left waits for them. `removes` says that there is
    something to remove.
    """
    theirs = steps.c.export_id.in_(export_ids)
    connection.execute(
        steps.update().where(theirs, steps.c.number != OWN, ~steps.c.held).values(due_at=None)
    )
    own = and_(theirs, steps.c.number == OWN)
    held = connection.execute(select(steps.c.number).where(own, steps.c.held)).all()
    connection.execute(
        steps.update()
        .where(own)
        .values(
            kind=Step.remove,
            held=False,
            # Whoever holds it is fenced off.
            attempt=steps.c.attempt + case((steps.c.held, 1), else_=0),
            due_at=now() if removes else None,
            lost=0,
            failures=0,
        )
    )
    count_ended(connection, organization_id, len(held))


def restart_archive(database: Database, claim: Claim, old_upload: str, new_upload: str) -> bool:
    """Begins the archive again under a new upload, from the same snapshot.

    False: the claim was lost, since somebody did so before or the archive was finished.
    """
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        result = connection.execute(
            exports.update()
            .where(is_held_and_wanted(claim), exports.c.upload_id == old_upload)
            .values(
                upload_id=new_upload,
                stage=Stage.build,
                segments_done=0,
                work_done=0,
                file_size=None,
                crc32=None,
                updated_at=now(),
                version=exports.c.version + 1,
            )
        )
        if result.rowcount == 0:
            return False
        mine = steps.c.export_id == claim.export_id
        held = connection.execute(select(steps.c.number).where(mine, steps.c.held)).all()
        connection.execute(
            steps.update()
            .where(mine)
            .values(
                done=False,
                held=False,
                attempt=steps.c.attempt + 1,
                result=None,
                due_at=case((steps.c.number == OWN, null()), else_=now()),
            )
        )
        count_ended(connection, claim.organization_id, len(held))
        return True
