"""The record of the work: what its steps got done, until the archive is whole.

Every result carries the attempt number of its claim, so that a lost claim records nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, steps
from services.exports.claims import (
    OWN,
    ExportClaim,
    SegmentClaim,
    count_ended,
    is_held,
    is_held_and_wanted,
    lock_turn,
)
from services.exports.model import Stage, Step
from services.storage import Extract

#: Seconds by which a segment is due before the next.
_APART = 1e-6
_STREAMED = {"stream_results": True, "yield_per": 20}


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment as the plan writes it down."""

    number: int
    manifest_key: str
    size: int
    work: int
    #: Where the same bytes lie in an earlier archive.
    source: Extract | None = None


def export_planned(
    database: Database,
    claim: ExportClaim,
    *,
    segments: Sequence[PlannedSegment],
    upload_id: str | None,
    snapshot: dict[str, Any],
    image_count: int,
    annotation_count: int,
    generation: int = 0,
) -> bool:
    """Records the frozen selection and hands the export over to the builders.

    `generation`: how many archives in a row are copied from one another to this one. The segments
    are taken in their order. Its steps are for workers who know the version of the
    work in the snapshot.

    False: the claim was lost meanwhile, and nothing was recorded.
    """
    with database.write() as connection:
        lock_turn(connection, claim.organization_id)
        result = connection.execute(
            exports.update()
            .where(is_held_and_wanted(claim))
            .values(
                stage=Stage.build,
                upload_id=upload_id,
                snapshot=snapshot,
                segment_count=len(segments),
                segments_done=0,
                work_total=sum(segment.work for segment in segments),
                work_done=0,
                image_count=image_count,
                annotation_count=annotation_count,
                staged=True,
                layout_version=snapshot.get("layout_version"),
                generation=generation,
                updated_at=now(),
                version=exports.c.version + 1,
            )
        )
        if result.rowcount == 0:
            return False
        connection.execute(
            steps.update()
            .where(is_held(claim))
            .values(
                kind=Step.finish,
                version=snapshot.get("version", 1),
                held=False,
                due_at=None,
                alone=False,
                lost=0,
                vanished=0,
                failures=0,
                errors=0,
            )
        )
        count_ended(connection, claim.organization_id, 1)
        due_at = connection.execute(select(now())).scalar_one()
        connection.execute(
            steps.insert(),
            [
                {
                    "export_id": claim.export_id,
                    "number": segment.number,
                    "kind": Step.segment,
                    "version": snapshot.get("version", 1),
                    "organization_id": claim.organization_id,
                    "lane": claim.lane,
                    "due_at": due_at - _APART * (len(segments) - position),
                    "manifest_key": segment.manifest_key,
                    "size": segment.size,
                    "work": segment.work,
                    "source": asdict(segment.source) if segment.source else None,
                }
                for position, segment in enumerate(segments)
            ],
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
        lock_turn(connection, claim.organization_id)
        counted = connection.execute(
            exports.update()
            .where(is_held_and_wanted(claim))
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
            steps.update()
            .where(is_held(claim))
            .values(done=True, held=False, due_at=None, result=result)
        )
        count_ended(connection, claim.organization_id, 1)
        if counted.segments_done < counted.segment_count:
            return Counted.more
        connection.execute(
            exports.update().where(exports.c.id == claim.export_id).values(stage=Stage.finish)
        )
        connection.execute(
            steps.update()
            .where(steps.c.export_id == claim.export_id, steps.c.number == OWN)
            .values(due_at=now())
        )
        return Counted.last


def is_recorded(database: Database, claim: SegmentClaim) -> bool:
    """Whether the record holds what this very claim built."""
    query = select(steps.c.number).where(
        steps.c.export_id == claim.export_id,
        steps.c.number == claim.number,
        steps.c.attempt == claim.attempt,
        steps.c.done,
    )
    with database.read() as connection:
        return connection.execute(query).first() is not None


def segment_results(database: Database, export_id: str) -> Iterator[dict[str, Any]]:
    """What the builders made, in the order of the segments; one may have several results.

    Streamed: with thousands of segments they are large together.
    """
    query = (
        select(steps.c.result)
        .where(steps.c.export_id == export_id, steps.c.kind == Step.segment)
        .order_by(steps.c.number)
    )
    with database.snapshot() as connection:
        for found in connection.execute(query, execution_options=_STREAMED).scalars():
            first = dict(found)
            more = first.pop("more", [])
            yield first
            yield from more


def archive_assembled(database: Database, claim: ExportClaim, size: int, crc32: int) -> bool:
    """Records what the finished archive must measure, before the store is told to complete it."""
    with database.write() as connection:
        result = connection.execute(
            exports.update().where(is_held_and_wanted(claim)).values(file_size=size, crc32=crc32)
        )
        return result.rowcount == 1
