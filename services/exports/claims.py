"""The record of the work: who holds which step of an export, and until when.

A claim is one conditional UPDATE that increases the attempt number, committed before the
work starts. Every result carries that number, so a worker that was presumed dead and
wakes up changes nothing. Lease times are the database's.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, or_, select

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
        if connection.execute(claim).rowcount == 0:
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
    building = select(exports.c.id).where(is_building(export_id)).with_for_update(read=True)
    with database.write() as connection:
        if connection.execute(building).first() is None:
            return None
        if connection.execute(claim).rowcount == 0:
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
                .where(
                    held_segment(claim),
                    ~export_segments.c.done,
                    exists().where(is_building(claim.export_id)),
                )
                .values(lease_until=until)
            )
        else:
            result = connection.execute(
                exports.update().where(held_export(claim)).values(lease_until=until)
            )
        return result.rowcount == 1


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
        table, mine = export_segments, held_segment(claim)
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


def held_export(claim: ExportClaim) -> ColumnElement[bool]:
    """Of an export: this very claim holds its step."""
    return and_(
        exports.c.id == claim.export_id,
        exports.c.attempt == claim.attempt,
        exports.c.step == claim.step,
        ~exports.c.deleted,
    )


def held_segment(claim: SegmentClaim) -> ColumnElement[bool]:
    """Of a segment: this very claim is its last one, whether it is done or not."""
    return and_(
        export_segments.c.export_id == claim.export_id,
        export_segments.c.number == claim.number,
        export_segments.c.attempt == claim.attempt,
    )


def has_held_segment(claim: SegmentClaim) -> ColumnElement[bool]:
    """Of an export: this very claim holds one of its segments, which is not done."""
    return exists().where(held_segment(claim), ~export_segments.c.done)


def is_building(export_id: str) -> ColumnElement[bool]:
    """Of an export: it is this one, and its segments are being built."""
    return and_(exports.c.id == export_id, exports.c.step == Step.build, ~exports.c.deleted)


def _held(claim: ExportClaim | SegmentClaim) -> tuple[Any, Any]:
    if isinstance(claim, SegmentClaim):
        return export_segments, held_segment(claim)
    return exports, held_export(claim)


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
