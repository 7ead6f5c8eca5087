"""The record of the work: what its steps got done, until the archive is whole.

Every result carries the attempt number of its claim, so that a lost claim records nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import export_segments, exports
from services.exports.claims import (
    ExportClaim,
    SegmentClaim,
    has_held_segment,
    held_export,
    held_segment,
    is_building,
)
from services.exports.model import Step


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment as the plan writes it down."""

    number: int
    manifest_key: str
    size: int
    work: int


def export_planned(
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
            .where(held_export(claim))
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
        if result.rowcount == 0:
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
            .where(is_building(claim.export_id), has_held_segment(claim))
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
            .where(held_segment(claim))
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
    query = select(export_segments.c.number).where(held_segment(claim), export_segments.c.done)
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


def archive_assembled(database: Database, claim: ExportClaim, size: int, crc32: int) -> bool:
    """Records what the finished archive must measure, before the store is told to complete it."""
    with database.write() as connection:
        result = connection.execute(
            exports.update().where(held_export(claim)).values(file_size=size, crc32=crc32)
        )
        return result.rowcount == 1
