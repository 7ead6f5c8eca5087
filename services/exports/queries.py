"""The exports of an organization: found, listed, deleted."""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from services.catalog.datasets import DATASET_NAME, find_dataset
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import datasets, exports
from services.errors import NotFound
from services.exports.claims import lock_turn
from services.exports.endings import end_work
from services.exports.model import (
    Export,
    ExportAddress,
    ExportPage,
    Retries,
    Stage,
    Status,
)
from services.texts import quoted

#: What callers may learn of an export. The rest is for its work: the snapshot alone may be a
#: hundred times as long, as it has every class.
_SEEN = (
    "id",
    "organization_id",
    "dataset_id",
    "name",
    "format",
    "include_images",
    "class_filter",
    "status_filter",
    "include_unannotated",
    "organize_by_split",
    "status",
    "error_message",
    "error_code",
    "stage",
    "version",
    "segment_count",
    "segments_done",
    "work_total",
    "work_done",
    "image_count",
    "annotation_count",
    "file_size",
    "crc32",
    "sha256",
    "warnings",
    "created_at",
    "completed_at",
    "expires_at",
    "queued_at",
    "snapshot_at",
    "callback_url",
    "setbacks",
    "setback",
    "setback_at",
    "goes_on_at",
)
#: Nothing is finished before it is verified: progress stays below 1 until then.
_UNFINISHED = 0.99


def get_export(database: Database, organization_id: str, address: ExportAddress) -> Export:
    """One export.

    Raises:
        NotFound: the organization has no such export, or no such dataset.
    """
    with database.read() as connection:
        return find_export(connection, organization_id, address)


#: An organization, and the address of an export that may be one of its own.
OwnedAddress = tuple[str, ExportAddress]


def exports_at(
    database: Database, asked: Sequence[OwnedAddress]
) -> dict[OwnedAddress, Export | NotFound]:
    """`get_export` for many at once, of any organizations."""
    ids = list({address.id for _, address in asked if address.id})
    found: dict[OwnedAddress, Export | NotFound] = {}
    with database.read() as connection:
        for row in connection.execute(_exports_of_ids(), {"ids": ids}) if ids else ():
            found[row.organization_id, ExportAddress(id=row.id)] = _export(row)
        for owner, address in asked:
            if not address.id:
                try:
                    found[owner, address] = find_export(connection, owner, address)
                except NotFound as error:
                    found[owner, address] = error
    return {key: found.get(key) or no_export(key[1]) for key in asked}


def find_export(connection: Connection, organization_id: str, address: ExportAddress) -> Export:
    """`get_export` within a transaction."""
    query = exports_of(organization_id)
    if address.id:
        found = one_export(connection, query.where(exports.c.id == address.id))
    else:
        dataset = find_dataset(connection, organization_id, address.dataset_name)
        found = one_export(
            connection,
            query.where(exports.c.dataset_id == dataset.id, exports.c.name == address.name),
        )
    if found is None:
        raise no_export(address)
    return found


def no_export(address: ExportAddress) -> NotFound:
    """The error of an address at which there is nothing."""
    asked = (
        f"id {quoted(address.id)}"
        if address.id
        else f"name {quoted(address.name)} in dataset {quoted(address.dataset_name)}"
    )
    return NotFound(
        "EXPORT_NOT_FOUND",
        f"No export with the {asked} was found. List the exports to see what there is.",
        {"id": address.id, "dataset_name": address.dataset_name, "name": address.name},
    )


def list_exports(
    database: Database,
    organization_id: str,
    *,
    dataset_name: str = "",
    status: Status | None = None,
    formats: Sequence[str] = (),
    search: str = "",
    limit: int = 100,
    offset: int = 0,
) -> ExportPage:
    """A page of the organization's exports, newest first.

    Raises:
        NotFound: `dataset_name` names no dataset of the organization.
    """
    # Beyond the first page, all of it is of one moment: rows are counted from the end, too.
    with database.snapshot() if offset else database.read() as connection:
        query = exports_of(organization_id)
        if dataset_name:
            dataset = find_dataset(connection, organization_id, dataset_name)
            query = query.where(exports.c.dataset_id == dataset.id)
        if status is not None:
            query = query.where(exports.c.status == status)
        if formats:
            query = query.where(exports.c.format.in_(formats))
        if search:
            query = query.where(exports.c.name.icontains(search, autoescape=True))
        assert query.whereclause is not None
        # Each has its dataset.
        count = select(func.count()).select_from(exports).where(query.whereclause)
        total = connection.scalar(count) or 0
        rows = _page(connection, query, total, limit, offset)
    return ExportPage(tuple(_export(row) for row in rows), total)


def _page(
    connection: Connection, query: Select[tuple[object, ...]], total: int, limit: int, offset: int
) -> Sequence[Row[tuple[object, ...]]]:
    """Rows of a query, newest first, which is read from whichever end is nearer."""
    left = total - offset - limit
    if total <= offset:
        return []
    if offset <= left:
        newest = query.order_by(exports.c.created_at.desc(), exports.c.id)
        return connection.execute(newest.limit(limit).offset(offset)).all()
    oldest = query.order_by(exports.c.created_at, exports.c.id.desc())
    rows = connection.execute(oldest.limit(min(limit, total - offset)).offset(max(left, 0))).all()
    return rows[::-1]


def delete_export(database: Database, organization_id: str, address: ExportAddress) -> str:
    """Hides an export at once and for ever; its objects are removed in the background.

    Raises:
        NotFound: the organization has no such export.
    """
    with database.write() as connection:
        lock_turn(connection, organization_id)
        found = find_export(connection, organization_id, address)
        hide(connection, organization_id, [found.id])
    return found.id


def bulk_delete_exports(
    database: Database, organization_id: str, export_ids: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Hides exports by id. Returns the ids that were deleted, and those not found."""
    wanted = list(dict.fromkeys(export_ids))
    with database.write() as connection:
        lock_turn(connection, organization_id)
        mine = set(
            connection.scalars(
                select(exports.c.id).where(
                    exports.c.organization_id == organization_id,
                    ~exports.c.deleted,
                    exports.c.id.in_(wanted),
                )
            )
        )
        hide(connection, organization_id, list(mine))
    return [i for i in wanted if i in mine], [i for i in wanted if i not in mine]


def exports_of(organization_id: str) -> Select[tuple[object, ...]]:
    """The exports of an organization that are not deleted, to be narrowed down."""
    return _all_exports().where(exports.c.organization_id == organization_id)


@cache
def _exports_of_ids() -> Select[tuple[object, ...]]:
    """The exports whose `ids` these are, of any organization: made once, as it is asked all the
    time."""
    return _all_exports().where(exports.c.id.in_(bindparam("ids", expanding=True)))


@cache
def _all_exports() -> Select[tuple[object, ...]]:
    return (
        select(*(exports.c[name] for name in _SEEN), DATASET_NAME.label("dataset_name"))
        .join(datasets, datasets.c.id == exports.c.dataset_id)
        .where(~exports.c.deleted)
    )


def one_export(connection: Connection, query: Select[tuple[object, ...]]) -> Export | None:
    """The only export that a query of `exports_of` finds; None: it finds none."""
    row = connection.execute(query).one_or_none()
    return None if row is None else _export(row)


def hide(connection: Connection, organization_id: str, export_ids: list[str]) -> None:
    """Hides exports of an organization that is locked, and ends their work."""
    connection.execute(
        exports.update()
        .where(exports.c.id.in_(export_ids))
        .values(deleted=True, stage=Stage.done, updated_at=now(), version=exports.c.version + 1)
    )
    end_work(connection, organization_id, export_ids)


def _export(row: Row[tuple[object, ...]]) -> Export:
    status = Status(row.status)
    done = row.work_done / row.work_total if row.work_total else 0.0
    return Export(
        id=row.id,
        organization_id=row.organization_id,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        name=row.name,
        format=row.format,
        include_images=row.include_images,
        class_filter=tuple(row.class_filter),
        status_filter=row.status_filter,
        include_unannotated=row.include_unannotated,
        organize_by_split=row.organize_by_split,
        status=status,
        error_message=row.error_message,
        error_code=row.error_code,
        progress=1.0 if status is Status.completed else min(done, _UNFINISHED),
        # A failed one may keep them for a retry.
        image_count=None if status is Status.failed else row.image_count,
        annotation_count=None if status is Status.failed else row.annotation_count,
        # Known to the record before the archive is verified; to callers only after.
        file_size=row.file_size if status is Status.completed else None,
        crc32=row.crc32 if status is Status.completed else None,
        sha256=row.sha256 if status is Status.completed else None,
        warnings=row.warnings if status is Status.completed else None,
        created_at=row.created_at,
        completed_at=row.completed_at,
        expires_at=row.expires_at,
        stage=Stage(row.stage),
        segment_count=row.segment_count,
        segments_done=row.segments_done,
        bytes_total=row.work_total,
        bytes_done=row.work_done,
        queued_at=row.queued_at,
        snapshot_at=row.snapshot_at,
        callback_url=row.callback_url,
        retries=_retries(row) if row.setbacks else None,
        version=row.version,
    )


def _retries(row: Row[tuple[object, ...]]) -> Retries:
    is_over = row.stage == Stage.done
    return Retries(row.setbacks, row.setback, row.setback_at, None if is_over else row.goes_on_at)
