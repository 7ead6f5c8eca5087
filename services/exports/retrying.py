"""Taking a failed export up again: from its finished segments, or from a new snapshot."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, null, select

from services import logs
from services.catalog.datasets import classes_of
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, steps
from services.errors import Unavailable, WrongState
from services.exports.claims import OWN, end_holds, lock_turn
from services.exports.creation import Limits
from services.exports.lanes import lane_of
from services.exports.model import Export, ExportAddress, Lane, Stage, Status, Step
from services.exports.queries import find_export
from services.exports.quota import check_quota

#: Seconds after which a caller may try again while leftovers are being removed.
_REMOVAL_RETRY = 2


@dataclass(frozen=True, slots=True)
class Retried:
    """An export that was taken up again, and the lane where its work waits."""

    export: Export
    lane: Lane


def retry_export(
    database: Database,
    organization_id: str,
    address: ExportAddress,
    *,
    fresh: bool,
    limits: Limits,
) -> Retried:
    """Takes a failed export up again under its id.

    What its segments finished is used, as long as it is kept (`CARTOUCHE_RETRY_WINDOW`); with
    `fresh`, or where the selection was never frozen, it begins with a new snapshot. Its deadline
    counts anew.

    Raises:
        NotFound: the organization has no such export.
        WrongState: it has not failed, or nothing of it is left to go on from.
        QuotaExceeded: as many exports of the organization as may wait do so already.
        Unavailable: what it left is being removed this very moment.
    """
    with database.write() as connection:
        lock_turn(connection, organization_id)
        found = find_export(connection, organization_id, address)
        if found.status is not Status.failed:
            raise WrongState(
                "EXPORT_NOT_FAILED",
                f"Export {found.name!r} has the status {found.status}; only one that failed can "
                "be retried.",
                {"status": found.status},
            )
        own = select(steps.c.held).where(steps.c.export_id == found.id, steps.c.number == OWN)
        if connection.scalar(own):
            raise Unavailable(
                "REMOVAL_UNDER_WAY",
                f"What export {found.name!r} left is being removed; retry in a moment.",
                {"retry_after": str(_REMOVAL_RETRY)},
            )
        row = connection.execute(select(exports).where(exports.c.id == found.id)).one()
        if fresh or row.segment_count == 0:
            check_quota(connection, organization_id, limits.pending_quota)
            lane = _plan_again(connection, row, limits.short_bytes)
        elif row.snapshot is None:
            raise WrongState(
                "SNAPSHOT_REMOVED",
                f"What export {found.name!r} had finished was removed; retry it with fresh, which "
                "takes a new snapshot of the dataset.",
                {"status": found.status},
            )
        else:
            lane = Lane(row.lane)
            _go_on(connection, row)
        return Retried(find_export(connection, organization_id, ExportAddress(id=found.id)), lane)


def _plan_again(connection: Connection, export: Row[Any], short_bytes: int) -> Lane:
    """From a new snapshot, which may be of another size. Leftovers of the old one go when the
    export has ended."""
    lane, estimated_bytes = Lane(export.lane), export.estimated_bytes
    classes = classes_of(connection, export.dataset_id)
    if classes is not None:
        lane, estimated_bytes = lane_of(
            connection,
            export.dataset_id,
            classes,
            class_filter=export.class_filter,
            status_filter=export.status_filter,
            include_unannotated=export.include_unannotated,
            include_images=export.include_images,
            short_bytes=short_bytes,
        )
    segments = and_(steps.c.export_id == export.id, steps.c.kind == Step.segment)
    end_holds(connection, export.organization_id, segments)
    connection.execute(steps.delete().where(segments))
    # A plan may be made by workers of any version.
    _restart_own(connection, export, Step.plan, is_due=True, version=1, lane=lane)
    _revive(
        connection,
        export.id,
        status=Status.pending,
        stage=Stage.plan,
        upload_id=None,
        snapshot=None,
        segment_count=0,
        segments_done=0,
        work_total=0,
        work_done=0,
        image_count=None,
        annotation_count=None,
        lane=lane,
        estimated_bytes=estimated_bytes,
    )
    return lane


def _go_on(connection: Connection, export: Row[Any]) -> None:
    """From the segments that are done; whoever still holds one of the others is fenced off."""
    unfinished = and_(steps.c.export_id == export.id, steps.c.kind == Step.segment, ~steps.c.done)
    end_holds(connection, export.organization_id, unfinished)
    left = connection.scalar(select(func.count()).select_from(steps).where(unfinished))
    connection.execute(
        steps.update()
        .where(unfinished)
        .values(
            held=False,
            attempt=steps.c.attempt + case((steps.c.held, 1), else_=0),
            lost=0,
            vanished=0,
            failures=0,
            errors=0,
            due_at=now(),
        )
    )
    # As the segments: it is of a removal, which workers of any version may do.
    version = connection.scalar(
        select(func.max(steps.c.version)).where(
            steps.c.export_id == export.id, steps.c.kind == Step.segment
        )
    )
    _restart_own(connection, export, Step.finish, is_due=not left, version=version or 1)
    _revive(
        connection,
        export.id,
        status=Status.processing,
        stage=Stage.build if left else Stage.finish,
    )


def _restart_own(
    connection: Connection, export: Row[Any], kind: Step, *, is_due: bool, **more: Any
) -> None:
    values: dict[str, Any] = {
        **more,
        "kind": kind,
        "due_at": now() if is_due else null(),
        "lost": 0,
        "vanished": 0,
        "failures": 0,
        "errors": 0,
    }
    own = connection.execute(
        steps.update()
        .where(steps.c.export_id == export.id, steps.c.number == OWN)
        .values(**values, attempt=steps.c.attempt + 1)
    )
    if own.rowcount == 0:
        # An export of before there were steps.
        connection.execute(
            steps.insert().values(
                export_id=export.id,
                number=OWN,
                organization_id=export.organization_id,
                **{"lane": export.lane, **values},
            )
        )


def _revive(connection: Connection, export_id: str, **values: Any) -> None:
    connection.execute(
        exports.update()
        .where(exports.c.id == export_id)
        .values(
            error_message="",
            error_code="",
            # Even a store that lost the archive of an earlier finish gets it again.
            file_size=None,
            crc32=None,
            expires_at=None,
            staged=True,
            setbacks=0,
            request_id=logs.request_id.get(),
            traceparent=logs.traceparent.get(),
            queued_at=now(),
            updated_at=now(),
            version=exports.c.version + 1,
            **values,
        )
    )
