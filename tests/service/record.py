"""An empty record of the work, with organizations whose exports wait."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from services.catalog.datasets import create_dataset
from services.catalog.model import DatasetClass
from services.database.engine import Database
from services.database.tables import organizations, steps
from services.exports import claims, creation, progress
from services.exports.claims import Claim, ExportClaim
from services.exports.model import ExportRequest, Lane
from services.identity.keys import ensure_organization
from services.work_version import WORK_VERSION

LEASE = timedelta(seconds=30)
BOTH = (Lane.short, Lane.long)
CAP = 64


@dataclass(frozen=True)
class Tenant:
    """An organization with an empty dataset."""

    database: Database
    id: str

    @classmethod
    def make(cls, database: Database, name: str) -> "Tenant":
        made = ensure_organization(database, name)
        create_dataset(database, made, "dataset", [DatasetClass("car")])
        return cls(database, made)

    def create(self, lane: Lane = Lane.short, **limits: Any) -> str:
        """The id of a new export, whose steps are of this lane."""
        request = ExportRequest("dataset", uuid.uuid4().hex, "coco")
        given = creation.Limits(short_bytes=0 if lane is Lane.short else -1, **limits)
        made = creation.create_export(self.database, self.id, request, lambda _: b"", given)
        assert made.lane is lane
        return made.export_id

    def planned(self, segments: int) -> str:
        """The id of an export whose long segments are due."""
        export_id = self.create(Lane.long)
        claim = take(self.database)
        assert isinstance(claim, ExportClaim)
        assert claim.export_id == export_id
        assert progress.export_planned(
            self.database,
            claim,
            segments=[progress.PlannedSegment(n + 1, "key", 1, 1) for n in range(segments)],
            upload_id="upload",
            snapshot={"classes": [], "version": WORK_VERSION},
            image_count=1,
            annotation_count=1,
        )
        return export_id

    @property
    def running(self) -> int:
        """What the record counts, which must be what it holds."""
        with self.database.read() as connection:
            counted = connection.scalar(
                select(organizations.c.running_steps).where(organizations.c.id == self.id)
            )
            held = connection.scalar(
                select(func.count()).where(steps.c.organization_id == self.id, steps.c.held)
            )
        assert counted == held
        return int(counted or 0)


def take(database: Database, lanes: tuple[Lane, ...] = BOTH, cap: int = CAP) -> Claim | None:
    """What a worker that takes these lanes claims next."""
    return claims.claim_next(database, lanes, LEASE, cap)
