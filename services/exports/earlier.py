"""Earlier archives of a dataset, of which the store may copy what has not changed since."""

from dataclasses import dataclass

from sqlalchemy import or_, select

from services.database.clock import now_once
from services.database.engine import Database
from services.database.tables import exports
from services.exports.claims import ExportClaim
from services.exports.model import Status, archive_key

#: The newest archives of a dataset among which one is chosen.
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class EarlierExport:
    """A completed export, and its archive as the record knows it."""

    export_id: str
    key: str
    file_size: int
    #: How many archives in a row were copied from one another to it.
    generation: int


def earlier_export(
    database: Database, claim: ExportClaim, layout_version: int, generations: int, least: int
) -> EarlierExport | None:
    """The newest completed export of the same organization, dataset, format and layout whose
    archive has `least` bytes; with the same filters where there is one. None where it has been
    copied `generations` times in a row: then it is time to build all anew.

    Raises:
        Unavailable: the database is away.
    """
    query = (
        select(
            exports.c.id,
            exports.c.file_size,
            exports.c.generation,
            exports.c.class_filter,
            exports.c.status_filter,
        )
        .where(
            exports.c.dataset_id == claim.dataset_id,
            exports.c.organization_id == claim.organization_id,
            exports.c.format == claim.format,
            exports.c.include_images,
            exports.c.organize_by_split == claim.organize_by_split,
            exports.c.layout_version == layout_version,
            exports.c.status == Status.completed,
            exports.c.file_size >= least,
            ~exports.c.deleted,
            or_(exports.c.expires_at.is_(None), exports.c.expires_at > now_once()),
        )
        .order_by(exports.c.completed_at.desc())
        .limit(_LOOKED_AT)
    )
    with database.read() as connection:
        found = connection.execute(query).all()
    filters = (list(claim.class_filter), claim.status_filter)
    alike = [row for row in found if (row.class_filter, row.status_filter) == filters]
    row = next(iter(alike or found), None)
    if row is None or row.generation >= generations:
        return None
    key = archive_key(claim.organization_id, row.id)
    return EarlierExport(row.id, key, row.file_size, row.generation)
