"""The record of the work: how an export ends, well or badly, or its archive begins again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, null

from services import metrics
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, steps
from services.exports.claims import (
    OWN,
    Claim,
    ExportClaim,
    end_holds,
    is_held_and_wanted,
    lock_turn,
    set_back,
)
from services.exports.model import ErrorCode, Setback, Stage, Status, Step
from services.formats.registry import FORMATS
from services.settings import Settings
from services.webhooks.model import EventType
from services.webhooks.outbox import announce

#: Failures after which nothing is kept for a retry.
_KEEPS_NOTHING = frozenset((ErrorCode.cancelled, ErrorCode.selection_empty))


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long the record and the store keep what has ended; nothing: for ever."""

    #: An export, with its archive.
    retention: timedelta
    #: What a failed export had finished, for a retry.
    retry_window: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Keeping":
        """As the settings say."""
        return cls(settings.retention, settings.retry_window)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an export failed: a code for programs, and a sentence for tenants that names the
    cause and what to do, and nothing that only whoever runs Cartouche may know."""

    code: ErrorCode
    message: str


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
    database: Database, claim: ExportClaim, completion: Completion, keeping: Keeping
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
                expires_at=_expires_at(keeping),
                updated_at=now(),
                version=exports.c.version + 1,
            )
            .returning(exports.c.staged, (now() - exports.c.queued_at).label("seconds"))
        ).one_or_none()
        if result is None:
            return False
        end_work(connection, claim.organization_id, [claim.export_id], removes=result.staged)
        announce(connection, claim.organization_id, claim.export_id, EventType.completed)
    metrics.EXPORTS_ENDED.labels(claim.format, Status.completed, "").inc()
    if result.seconds is not None:
        metrics.EXPORT_SECONDS.labels(claim.format).observe(max(0.0, result.seconds))
    return True


def fail(
    database: Database, organization_id: str, export_id: str, failure: Failure, keeping: Keeping
) -> bool:
    """Ends an export badly; False: it has ended already."""
    with database.write() as connection:
        lock_turn(connection, organization_id)
        format = fail_locked(connection, organization_id, export_id, failure, keeping)
    return count_failed(format, failure)


def fail_locked(
    connection: Connection,
    organization_id: str,
    export_id: str,
    failure: Failure,
    keeping: Keeping,
) -> str | None:
    """`fail` within a transaction that has locked the organization; `count_failed` follows it.

    Returns the format of the export; None: it has ended already.
    """
    running = and_(exports.c.id == export_id, exports.c.stage != Stage.done, ~exports.c.deleted)
    return _fail(connection, organization_id, export_id, failure, keeping, running)


def fail_claimed(database: Database, claim: Claim, failure: Failure, keeping: Keeping) -> bool:
    """`fail` for the export of a claim; False: it has ended already, or the claim was lost."""
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        format = _fail(
            connection,
            claim.organization_id,
            claim.export_id,
            failure,
            keeping,
            is_held_and_wanted(claim),
        )
    return count_failed(format, failure)


def show_ends() -> None:
    """Shows every end of an export that may come, at 0: Prometheus takes a series that begins at 1
    for one that never grew."""
    for format in FORMATS:
        metrics.EXPORTS_ENDED.labels(format, Status.completed, "")
        for code in ErrorCode:
            metrics.EXPORTS_ENDED.labels(format, Status.failed, code)


def count_failed(format: str | None, failure: Failure) -> bool:
    """Counts an export that has failed, once that is durable; False: it had ended before."""
    if format is None:
        return False
    metrics.EXPORTS_ENDED.labels(format, Status.failed, failure.code).inc()
    return True


def _fail(
    connection: Connection,
    organization_id: str,
    export_id: str,
    failure: Failure,
    keeping: Keeping,
    condition: ColumnElement[bool],
) -> str | None:
    result = connection.execute(
        exports.update()
        .where(condition)
        .values(
            status=Status.failed,
            stage=Stage.done,
            error_message=failure.message,
            error_code=failure.code,
            staged=True,
            expires_at=_expires_at(keeping),
            updated_at=now(),
            version=exports.c.version + 1,
        )
        .returning(exports.c.segment_count, exports.c.format)
    ).one_or_none()
    if result is None:
        return None
    # Without segments there is nothing finished.
    keeps = result.segment_count > 0 and failure.code not in _KEEPS_NOTHING
    end_work(
        connection,
        organization_id,
        [export_id],
        after=keeping.retry_window if keeps else timedelta(),
    )
    announce(connection, organization_id, export_id, EventType.failed)
    return str(result.format)


def _expires_at(keeping: Keeping) -> ColumnElement[float] | None:
    return now() + keeping.retention.total_seconds() if keeping.retention else None


def end_work(
    connection: Connection,
    organization_id: str,
    export_ids: Sequence[str],
    *,
    removes: bool = True,
    after: timedelta = timedelta(),
) -> None:
    """Ends the steps of exports that have ended, whose organization is locked.

    Nobody claims their segments any more; those that are held stay so until their workers
    notice, and the removal of what they left waits for them. `removes` says that there is
    something to remove, and `after` when.
    """
    theirs = steps.c.export_id.in_(export_ids)
    connection.execute(
        steps.update().where(theirs, steps.c.number != OWN, ~steps.c.held).values(due_at=None)
    )
    own = and_(theirs, steps.c.number == OWN)
    end_holds(connection, organization_id, own)
    connection.execute(
        steps.update()
        .where(own)
        .values(
            kind=Step.remove,
            # Workers of any version can remove what was left.
            version=1,
            held=False,
            # It is swept from the beginning.
            done=False,
            # Whoever holds it is fenced off.
            attempt=steps.c.attempt + case((steps.c.held, 1), else_=0),
            due_at=now() + after.total_seconds() if removes else None,
            failures=0,
            errors=0,
        )
    )


def restart_archive(
    database: Database,
    claim: Claim,
    old_upload: str,
    new_upload: str,
    why: Setback,
    *,
    errors: int = 0,
    snapshot: dict[str, Any] | None = None,
) -> bool:
    """Begins the archive again under a new upload, from the same snapshot.

    `errors` counts as so many errors of our own of the export's own step, and lets nothing be
    copied from an earlier archive any more; `snapshot` says anew what the record keeps of it.

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
                **({"snapshot": snapshot} if snapshot else {}),
            )
        )
        if result.rowcount == 0:
            return False
        set_back(connection, claim.export_id, why)
        mine = steps.c.export_id == claim.export_id
        end_holds(connection, claim.organization_id, mine)
        connection.execute(
            steps.update()
            .where(mine)
            .values(
                done=False,
                held=False,
                attempt=steps.c.attempt + 1,
                failures=0,
                errors=steps.c.errors + case((steps.c.number == OWN, errors), else_=0),
                result=None,
                **({"source": null()} if errors else {}),
                due_at=case((steps.c.number == OWN, null()), else_=now()),
            )
        )
        return True
