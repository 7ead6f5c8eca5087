"""The exports of an organization: made, read, listed, deleted."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import orjson
from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.exc import IntegrityError

from services.catalog.datasets import Dataset, find_dataset
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import datasets, exports, idempotency_keys
from services.errors import AlreadyExists, Conflict, NotFound
from services.exports.model import (
    Export,
    ExportAddress,
    ExportPage,
    ExportRequest,
    Status,
    Step,
)
from services.exports.validation import class_errors, field_errors, invalid

IDEMPOTENCY_SECONDS = 24 * 3600
#: How long an equal request counts as the same one sent again.
DUPLICATE_SECONDS = 60

#: Nothing is finished before it is verified: progress stays below 1 until then.
_UNFINISHED = 0.99


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a create: the export's id, the encoded answer, and whether it is new."""

    export_id: str
    response: bytes
    is_new: bool


def create_export(
    database: Database,
    organization_id: str,
    request: ExportRequest,
    encode: Callable[[Export], bytes],
) -> Created:
    """Records an export as pending, in one transaction; touches no image.

    `encode` makes the answer, which a replay of the same idempotency key gets again.

    Raises:
        Invalid: fields are wrong; it names each and lists what is valid.
        NotFound: the organization has no such dataset.
        AlreadyExists: the dataset has an export of this name.
        Conflict: the idempotency key came before, with another request.
    """
    fields = field_errors(request)
    request_hash = hashlib.sha256(
        orjson.dumps({**asdict(request), "idempotency_key": ""})
    ).hexdigest()
    try:
        with database.write() as connection:
            if replay := _replay(connection, organization_id, request, request_hash):
                return replay
            if "dataset_name" in fields:
                raise invalid(fields)
            dataset = find_dataset(connection, organization_id, request.dataset_name)
            fields |= class_errors(request, dataset.classes)
            if fields:
                raise invalid(fields)
            if duplicate := _duplicate(connection, dataset, request):
                return Created(duplicate.id, encode(duplicate), is_new=False)
            export_id = str(uuid.uuid4())
            connection.execute(
                exports.insert().values(
                    id=export_id,
                    organization_id=organization_id,
                    dataset_id=dataset.id,
                    name=request.name,
                    format=request.format,
                    include_images=request.include_images,
                    class_filter=list(request.class_filter),
                    status_filter=request.status_filter,
                    include_unannotated=request.include_unannotated,
                    organize_by_split=request.organize_by_split,
                    status=Status.pending,
                    step=Step.plan,
                    created_at=now(),
                    updated_at=now(),
                    rung_at=now(),
                )
            )
            export = _one(connection, _mine(organization_id).where(exports.c.id == export_id))
            assert export is not None
            response = encode(export)
            if request.idempotency_key:
                connection.execute(
                    idempotency_keys.delete().where(
                        idempotency_keys.c.organization_id == organization_id,
                        idempotency_keys.c.key == request.idempotency_key,
                        # Never one that another request has left a moment ago.
                        idempotency_keys.c.created_at < now() - IDEMPOTENCY_SECONDS,
                    )
                )
                connection.execute(
                    idempotency_keys.insert().values(
                        organization_id=organization_id,
                        key=request.idempotency_key,
                        request_hash=request_hash,
                        export_id=export_id,
                        response=response,
                        created_at=now(),
                    )
                )
            return Created(export_id, response, is_new=True)
    except (IntegrityError, AlreadyExists):
        # The name is taken, perhaps a moment ago by a request with this very key.
        with database.read() as connection:
            if replay := _replay(connection, organization_id, request, request_hash):
                return replay
            dataset = find_dataset(connection, organization_id, request.dataset_name)
            if duplicate := _duplicate(connection, dataset, request):
                return Created(duplicate.id, encode(duplicate), is_new=False)
        raise _exists(request) from None


def _exists(request: ExportRequest) -> AlreadyExists:
    return AlreadyExists(
        "EXPORT_EXISTS",
        f"Dataset {request.dataset_name!r} has an export called {request.name!r} already; "
        "choose another name, or delete that export first.",
        {"dataset_name": request.dataset_name, "name": request.name},
    )


def _replay(
    connection: Connection, organization_id: str, request: ExportRequest, request_hash: str
) -> Created | None:
    if not request.idempotency_key:
        return None
    row = connection.execute(
        select(idempotency_keys).where(
            idempotency_keys.c.organization_id == organization_id,
            idempotency_keys.c.key == request.idempotency_key,
            idempotency_keys.c.created_at >= now() - IDEMPOTENCY_SECONDS,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise Conflict(
            "IDEMPOTENCY_KEY_REUSED",
            "This Idempotency-Key came with another request in the last 24 hours; "
            "use a new key for a new request.",
        )
    return Created(row.export_id, bytes(row.response), is_new=False)


def _duplicate(connection: Connection, dataset: Dataset, request: ExportRequest) -> Export | None:
    """The export that took the name, where the request may be a repetition of its own.

    Raises:
        AlreadyExists: the name is taken by another request.
    """
    found = _one(
        connection,
        _mine(dataset.organization_id).where(
            exports.c.dataset_id == dataset.id, exports.c.name == request.name
        ),
    )
    if found is None:
        return None
    recent = connection.scalar(select(now())) or 0.0
    same = (
        found.format == request.format
        and found.include_images == request.include_images
        and found.class_filter == request.class_filter
        and found.status_filter == request.status_filter
        and found.include_unannotated == request.include_unannotated
        and found.organize_by_split == request.organize_by_split
        and recent - found.created_at < DUPLICATE_SECONDS
    )
    if request.return_recent_duplicate and same:
        return found
    raise _exists(request)


def get_export(database: Database, organization_id: str, address: ExportAddress) -> Export:
    """One export.

    Raises:
        NotFound: the organization has no such export, or no such dataset.
    """
    with database.read() as connection:
        return find_export(connection, organization_id, address)


def find_export(connection: Connection, organization_id: str, address: ExportAddress) -> Export:
    """`get_export` within a transaction."""
    query = _mine(organization_id)
    if address.id:
        found = _one(connection, query.where(exports.c.id == _asked(address.id)))
        asked = f"id {address.id!r}"
    else:
        dataset = find_dataset(connection, organization_id, address.dataset_name)
        found = _one(
            connection,
            query.where(exports.c.dataset_id == dataset.id, exports.c.name == _asked(address.name)),
        )
        asked = f"name {address.name!r} in dataset {address.dataset_name!r}"
    if found is None:
        raise NotFound(
            "EXPORT_NOT_FOUND",
            f"No export with the {asked} was found. List the exports to see what there is.",
            {"id": address.id, "dataset_name": address.dataset_name, "name": address.name},
        )
    return found


def list_exports(
    database: Database,
    organization_id: str,
    *,
    dataset_name: str = "",
    status: Status | None = None,
    formats: Sequence[str] = (),
    limit: int = 100,
    offset: int = 0,
) -> ExportPage:
    """A page of the organization's exports, newest first.

    Raises:
        NotFound: `dataset_name` names no dataset of the organization.
    """
    with database.read() as connection:
        query = _mine(organization_id)
        if dataset_name:
            dataset = find_dataset(connection, organization_id, dataset_name)
            query = query.where(exports.c.dataset_id == dataset.id)
        if status is not None:
            query = query.where(exports.c.status == status)
        if formats:
            query = query.where(exports.c.format.in_(formats))
        total = connection.scalar(query.with_only_columns(func.count(), maintain_column_froms=True))
        rows = connection.execute(
            query.order_by(exports.c.created_at.desc(), exports.c.id).limit(limit).offset(offset)
        ).all()
    return ExportPage(tuple(_export(row) for row in rows), total or 0)


def delete_export(database: Database, organization_id: str, address: ExportAddress) -> str:
    """Hides an export at once and for ever; its objects are removed in the background.

    Raises:
        NotFound: the organization has no such export.
    """
    with database.write() as connection:
        found = find_export(connection, organization_id, address)
        _hide(connection, [found.id])
    return found.id


def bulk_delete_exports(
    database: Database, organization_id: str, export_ids: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Hides exports by id. Returns the ids that were deleted, and those not found."""
    wanted = list(dict.fromkeys(export_ids))
    with database.write() as connection:
        mine = set(
            connection.scalars(
                select(exports.c.id).where(
                    exports.c.organization_id == organization_id,
                    ~exports.c.deleted,
                    exports.c.id.in_([_asked(export_id) for export_id in wanted]),
                )
            )
        )
        _hide(connection, list(mine))
    return [i for i in wanted if i in mine], [i for i in wanted if i not in mine]


def _asked(text: str) -> str:
    """A name or id to look up: PostgreSQL refuses NUL, which none of them has."""
    return text.replace("\0", "\ufffd")


def _hide(connection: Connection, export_ids: list[str]) -> None:
    connection.execute(
        exports.update()
        .where(exports.c.id.in_(export_ids))
        .values(deleted=True, step=Step.done, updated_at=now(), version=exports.c.version + 1)
    )


def _mine(organization_id: str) -> Select[tuple[object, ...]]:
    return (
        select(exports, datasets.c.name.label("dataset_name"))
        .join(datasets, datasets.c.id == exports.c.dataset_id)
        .where(exports.c.organization_id == organization_id, ~exports.c.deleted)
    )


def _one(connection: Connection, query: Select[tuple[object, ...]]) -> Export | None:
    row = connection.execute(query).one_or_none()
    return None if row is None else _export(row)


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
        progress=1.0 if status is Status.completed else min(done, _UNFINISHED),
        image_count=row.image_count,
        annotation_count=row.annotation_count,
        # Known to the record before the archive is verified; to callers only after.
        file_size=row.file_size if status is Status.completed else None,
        crc32=row.crc32 if status is Status.completed else None,
        sha256=row.sha256 if status is Status.completed else None,
        warnings=row.warnings if status is Status.completed else None,
        created_at=row.created_at,
        completed_at=row.completed_at,
        expires_at=row.expires_at,
        version=row.version,
    )
