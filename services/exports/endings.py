"""The record of the work: how an export ends, well or badly, or begins again."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import export_segments, exports
from services.exports.claims import ExportClaim, SegmentClaim, has_held_segment, held_export
from services.exports.model import Status, Step


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
        result = connection.execute(
            exports.update()
            .where(held_export(claim))
            .values(
                status=Status.completed,
                step=Step.done,
                lease_until=None,
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
        )
        return result.rowcount == 1


def fail(
    database: Database,
    export_id: str,
    message: str,
    claim: ExportClaim | SegmentClaim | None = None,
) -> bool:
    """Ends an export badly, with a message that names the cause and what to do.

    False: it has ended already, or `claim` was lost.
    """
    if isinstance(claim, ExportClaim):
        condition = held_export(claim)
    else:
        condition = and_(exports.c.id == export_id, exports.c.step != Step.done, ~exports.c.deleted)
        if claim is not None:
            condition &= has_held_segment(claim)
    with database.write() as connection:
        result = connection.execute(
            exports.update()
            .where(condition)
            .values(
                status=Status.failed,
                step=Step.done,
                error_message=message,
                lease_until=None,
                staged=True,
                image_count=None,
                annotation_count=None,
                updated_at=now(),
                version=exports.c.version + 1,
            )
        )
        return result.rowcount == 1


def restart_archive(
    database: Database, claim: ExportClaim | SegmentClaim, old_upload: str, new_upload: str
) -> bool:
    """Begins the archive again under a new upload, from the same snapshot.

    False: the claim was lost, since somebody did so before or the archive was finished.
    """
    export_id = claim.export_id
    with database.write() as connection:
        if isinstance(claim, SegmentClaim):
            held = and_(exports.c.step == Step.build, has_held_segment(claim))
        else:
            held = held_export(claim)
        result = connection.execute(
            exports.update()
            .where(
                exports.c.id == export_id,
                exports.c.upload_id == old_upload,
                ~exports.c.deleted,
                held,
            )
            .values(
                upload_id=new_upload,
                step=Step.build,
                attempt=exports.c.attempt + 1,
                lease_until=None,
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
        connection.execute(
            export_segments.update()
            .where(export_segments.c.export_id == export_id)
            .values(
                done=False,
                attempt=export_segments.c.attempt + 1,
                lease_until=None,
                result=None,
                rung_at=now(),
            )
        )
        return True
