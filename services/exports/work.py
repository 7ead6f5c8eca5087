"""The record of the work: claims, leases and results of the steps of an export.

A claim is one conditional UPDATE that increases the attempt number, committed before the
work starts. Every result carries that number, so a worker that was presumed dead and
wakes up changes nothing. Lease times are the database's.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from sqlalchemy import (
    CursorResult,
    Row,
    Select,
    and_,
    case,
    exists,
    or_,
    select,
)

from services.catalog.model import DatasetClass
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import datasets, export_segments, exports
from services.exports.model import Status, Step

#: A step that killed this many workers ends the export.
MAX_LOST = 3
#: A step that failed this often for passing reasons ends the export.
MAX_FAILURES = 25
_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 120.0


@dataclass(frozen=True, slots=True)
class ExportClaim:
    """A step of an export that this worker holds."""

    export_id: str
    attempt: int
    step: Step
    #: Workers that died while they held this step, and passing failures so far.
    lost: int
    failures: int
    organization_id: str
    dataset_id: str
    dataset_name: str
    format: str
    include_images: bool
    class_filter: tuple[str, ...]
    status_filter: str
    include_unannotated: bool
    organize_by_split: bool
    #: The dataset's classes: as they are now for the plan, as the plan froze them later.
    classes: tuple[DatasetClass, ...]
    upload_id: str | None
    snapshot: dict[str, Any]
    segment_count: int
    #: Set once the finish step knows them.
    file_size: int | None
    crc32: int | None


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """A segment that this worker holds, with the export it belongs to."""

    export: ExportClaim
    number: int
    attempt: int
    lost: int
    failures: int
    manifest_key: str
    size: int
    work: int

    @property
    def export_id(self) -> str:
        return self.export.export_id


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment as the plan writes it down."""

    number: int
    manifest_key: str
    size: int
    work: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What is known of an archive that was verified."""

    file_size: int
    crc32: int
    sha256: str | None
    image_count: int
    annotation_count: int
    warnings: dict[str, int]


def claim_export(
    database: Database, export_id: str, step: Step, lease: timedelta
) -> ExportClaim | None:
    """Takes the plan or the finish step of an export; None: there is nothing to take."""
    claim = (
        exports.update()
        .where(
            exports.c.id == export_id,
            exports.c.step == step,
            ~exports.c.deleted,
            exports.c.not_before <= now(),
            or_(exports.c.lease_until.is_(None), exports.c.lease_until < now()),
        )
        .values(
            attempt=exports.c.attempt + 1,
            lost=exports.c.lost + case((exports.c.lease_until.is_(None), 0), else_=1),
            lease_until=now() + lease.total_seconds(),
            # The bell was heard: should this worker die, it rings as soon as the lease is over.
            rung_at=0,
            status=Status.processing,
            version=exports.c.version + 1,
            updated_at=now(),
        )
    )
    with database.write() as connection:
        if _changed(connection.execute(claim)) == 0:
            return None
        return _export_claim(connection.execute(_claimed(export_id)).one())


def claim_segment(
    database: Database, export_id: str, number: int, lease: timedelta
) -> SegmentClaim | None:
    """Takes a segment that is not done; None: there is nothing to take."""
    mine = and_(export_segments.c.export_id == export_id, export_segments.c.number == number)
    claim = (
        export_segments.update()
        .where(
            mine,
            ~export_segments.c.done,
            export_segments.c.not_before <= now(),
            or_(export_segments.c.lease_until.is_(None), export_segments.c.lease_until < now()),
        )
        .values(
            attempt=export_segments.c.attempt + 1,
            lost=export_segments.c.lost
            + case((export_segments.c.lease_until.is_(None), 0), else_=1),
            lease_until=now() + lease.total_seconds(),
            rung_at=0,
        )
    )
    # Whoever deletes or fails the export waits for this lock: after that, its objects are only
    # removed once the claim can be seen.
    building = (
        select(exports.c.id)
        .where(exports.c.id == export_id, exports.c.step == Step.build, ~exports.c.deleted)
        .with_for_update(read=True)
    )
    with database.write() as connection:
        if connection.execute(building).first() is None:
            return None
        if _changed(connection.execute(claim)) == 0:
            return None
        row = connection.execute(select(export_segments).where(mine)).one()
        return SegmentClaim(
            export=_export_claim(connection.execute(_claimed(export_id)).one()),
            number=row.number,
            attempt=row.attempt,
            lost=row.lost,
            failures=row.failures,
            manifest_key=row.manifest_key,
            size=row.size,
            work=row.work,
        )


def renew(database: Database, claim: ExportClaim | SegmentClaim, lease: timedelta) -> bool:
    """Keeps a claim alive; False: it is over (done, taken over, deleted or failed)."""
    until = now() + lease.total_seconds()
    with database.write() as connection:
        if isinstance(claim, SegmentClaim):
            result = connection.execute(
                export_segments.update()
                .where(_held_segment(claim), ~export_segments.c.done, _building(claim.export_id))
                .values(lease_until=until)
            )
        else:
            result = connection.execute(
                exports.update().where(_held_export(claim)).values(lease_until=until)
            )
        return _changed(result) == 1


def release(database: Database, claim: ExportClaim | SegmentClaim) -> None:
    """Gives a claim back unfinished and blameless (the worker shuts down)."""
    with database.write() as connection:
        table, held = _held(claim)
        connection.execute(table.update().where(held).values(lease_until=None, rung_at=0))


def orphan_all(database: Database) -> None:
    """Ends every lease and forgets every bell, as if their holders had died.

    Only for a process that knows that it is the only one.
    """
    with database.write() as connection:
        for table in (exports, export_segments):
            connection.execute(
                table.update()
                .where(table.c.lease_until.is_not(None))
                .values(lease_until=None, lost=table.c.lost + 1)
            )
            connection.execute(table.update().values(rung_at=0))


def abandon(database: Database, claim: ExportClaim | SegmentClaim) -> None:
    """Drops the lease of a claim that was lost, so that nobody waits for it to run out."""
    table: Any = exports
    mine = and_(exports.c.id == claim.export_id, exports.c.attempt == claim.attempt)
    if isinstance(claim, SegmentClaim):
        table, mine = export_segments, _held_segment(claim)
    with database.write() as connection:
        connection.execute(table.update().where(mine).values(lease_until=None))


def postpone(database: Database, claim: ExportClaim | SegmentClaim) -> float:
    """Gives a claim back after a passing failure, to be tried again after a pause.

    Returns the pause in seconds: exponential, capped, with jitter.
    """
    pause = min(_FIRST_BACKOFF * 2.0**claim.failures, _LONGEST_BACKOFF)
    pause *= random.uniform(0.5, 1.0)
    with database.write() as connection:
        table, held = _held(claim)
        connection.execute(
            table.update()
            .where(held)
            .values(
                lease_until=None,
                failures=table.c.failures + 1,
                not_before=now() + pause,
                rung_at=0,
            )
        )
    return pause


def plan_segments(
    database: Database,
    claim: ExportClaim,
    *,
    segments: Sequence[PlannedSegment],
    upload_id: str | None,
    snapshot: dict[str, Any],
    image_count: int,
    annotation_count: int,
) -> bool:
    """Records the frozen selection and hands the export over to the builders.

    False: the claim was lost meanwhile, and nothing was recorded.
    """
    with database.write() as connection:
        result = connection.execute(
            exports.update()
            .where(_held_export(claim))
            .values(
                step=Step.build,
                lease_until=None,
                lost=0,
                failures=0,
                upload_id=upload_id,
                snapshot=snapshot,
                segment_count=len(segments),
                segments_done=0,
                work_total=sum(segment.work for segment in segments),
                work_done=0,
                image_count=image_count,
                annotation_count=annotation_count,
                staged=True,
                rung_at=now(),
                updated_at=now(),
                version=exports.c.version + 1,
            )
        )
        if _changed(result) == 0:
            return False
        connection.execute(
            export_segments.insert(),
            [
                {
                    "export_id": claim.export_id,
                    "number": segment.number,
                    "manifest_key": segment.manifest_key,
                    "size": segment.size,
                    "work": segment.work,
                }
                for segment in segments
            ],
        )
        connection.execute(
            export_segments.update()
            .where(export_segments.c.export_id == claim.export_id)
            .values(rung_at=now())
        )
    return True


class Counted(Enum):
    """What became of a segment's result."""

    #: Others are still missing.
    more = auto()
    #: It was the last one, so finish comes next.
    last = auto()
    #: The claim was lost meanwhile, and nothing was recorded.
    lost = auto()


def segment_done(database: Database, claim: SegmentClaim, result: dict[str, Any]) -> Counted:
    """Records what a builder made.

    Marking the segment and counting it is one transaction, so exactly one builder sees
    the last one.
    """
    with database.write() as connection:
        # The export row is locked first, by every builder alike.
        counted = connection.execute(
            exports.update()
            .where(
                exports.c.id == claim.export_id,
                exports.c.step == Step.build,
                ~exports.c.deleted,
                exists().where(_held_segment(claim), ~export_segments.c.done),
            )
            .values(
                segments_done=exports.c.segments_done + 1,
                work_done=exports.c.work_done + claim.work,
                updated_at=now(),
                version=exports.c.version + 1,
            )
            .returning(exports.c.segments_done, exports.c.segment_count)
        ).one_or_none()
        if counted is None:
            return Counted.lost
        connection.execute(
            export_segments.update()
            .where(_held_segment(claim))
            .values(done=True, lease_until=None, result=result)
        )
        if counted.segments_done < counted.segment_count:
            return Counted.more
        connection.execute(
            exports.update()
            .where(exports.c.id == claim.export_id)
            .values(step=Step.finish, rung_at=now(), not_before=0)
        )
        return Counted.last


def is_recorded(database: Database, claim: SegmentClaim) -> bool:
    """Whether the record holds what this very claim built."""
    query = select(export_segments.c.number).where(_held_segment(claim), export_segments.c.done)
    with database.read() as connection:
        return connection.execute(query).first() is not None


def segment_results(database: Database, export_id: str) -> list[dict[str, Any]]:
    """What the builders made, in the order of the segments."""
    with database.read() as connection:
        return [
            dict(result)
            for result in connection.scalars(
                select(export_segments.c.result)
                .where(export_segments.c.export_id == export_id)
                .order_by(export_segments.c.number)
            )
        ]


def archive_assembled(database: Database, claim: ExportClaim, size: int, crc32: int) -> bool:
    """Records what the finished archive must measure, before the store is told to complete it."""
    with database.write() as connection:
        result = connection.execute(
            exports.update().where(_held_export(claim)).values(file_size=size, crc32=crc32)
        )
        return _changed(result) == 1


def restart_archive(
    database: Database, claim: ExportClaim | SegmentClaim, old_upload: str, new_upload: str
) -> bool:
    """Begins the archive again under a new upload, from the same snapshot.

    False: the claim was lost, since somebody did so before or the archive was finished.
    """
    export_id = claim.export_id
    with database.write() as connection:
        if isinstance(claim, SegmentClaim):
            held = and_(
                exports.c.step == Step.build,
                exists().where(_held_segment(claim), ~export_segments.c.done),
            )
        else:
            held = _held_export(claim)
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
        if _changed(result) == 0:
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


def complete(
    database: Database, claim: ExportClaim, completion: Completion, retention: timedelta
) -> bool:
    """Ends an export well; False: the claim was lost meanwhile."""
    with database.write() as connection:
        result = connection.execute(
            exports.update()
            .where(_held_export(claim))
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
        return _changed(result) == 1


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
        condition = _held_export(claim)
    else:
        condition = and_(exports.c.id == export_id, exports.c.step != Step.done, ~exports.c.deleted)
        if claim is not None:
            condition &= exists().where(_held_segment(claim), ~export_segments.c.done)
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
        return _changed(result) == 1


def unfinished_segments(database: Database, export_id: str) -> list[int]:
    """The numbers of the segments that are not done."""
    with database.read() as connection:
        return list(
            connection.scalars(
                select(export_segments.c.number)
                .where(export_segments.c.export_id == export_id, ~export_segments.c.done)
                .order_by(export_segments.c.number)
            )
        )


def _held(claim: ExportClaim | SegmentClaim) -> tuple[Any, Any]:
    if isinstance(claim, SegmentClaim):
        return export_segments, _held_segment(claim)
    return exports, _held_export(claim)


def _held_export(claim: ExportClaim) -> Any:
    return and_(
        exports.c.id == claim.export_id,
        exports.c.attempt == claim.attempt,
        exports.c.step == claim.step,
        ~exports.c.deleted,
    )


def _held_segment(claim: SegmentClaim) -> Any:
    return and_(
        export_segments.c.export_id == claim.export_id,
        export_segments.c.number == claim.number,
        export_segments.c.attempt == claim.attempt,
    )


def _building(export_id: str) -> Any:
    return exists().where(
        exports.c.id == export_id, exports.c.step == Step.build, ~exports.c.deleted
    )


def _claimed(export_id: str) -> Select[tuple[Any, ...]]:
    return (
        select(exports, datasets.c.name.label("dataset_name"), datasets.c.classes)
        .join(datasets, datasets.c.id == exports.c.dataset_id)
        .where(exports.c.id == export_id)
    )


def _export_claim(row: Row[tuple[Any, ...]]) -> ExportClaim:
    snapshot = row.snapshot or {}
    return ExportClaim(
        export_id=row.id,
        attempt=row.attempt,
        step=Step(row.step),
        lost=row.lost,
        failures=row.failures,
        organization_id=row.organization_id,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        format=row.format,
        include_images=row.include_images,
        class_filter=tuple(row.class_filter),
        status_filter=row.status_filter,
        include_unannotated=row.include_unannotated,
        organize_by_split=row.organize_by_split,
        classes=tuple(
            DatasetClass.from_json(value) for value in snapshot.get("classes", row.classes)
        ),
        upload_id=row.upload_id,
        snapshot=snapshot,
        segment_count=row.segment_count,
        file_size=row.file_size,
        crc32=row.crc32,
    )


def _changed(result: CursorResult[Any]) -> int:
    return result.rowcount
