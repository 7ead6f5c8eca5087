"""Making an export: recorded at once, or known from a request that came before."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

import orjson
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from services import logs
from services.catalog.datasets import Dataset, find_dataset
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, idempotency_keys, steps
from services.errors import AlreadyExists, Conflict
from services.exports.claims import OWN
from services.exports.lanes import lane_of
from services.exports.model import Export, ExportAddress, ExportRequest, Lane, Stage, Status, Step
from services.exports.queries import exports_of, find_export, one_export
from services.exports.quota import check_quota
from services.exports.validation import class_errors, field_errors, invalid
from services.texts import quoted
from services.webhooks.addresses import Network, callback_error

IDEMPOTENCY_SECONDS = 24 * 3600
#: How long an equal request counts as the same one sent again.
DUPLICATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a create: the export's id, the encoded answer, and where its work waits."""

    export_id: str
    response: bytes
    #: The lane of its steps; None: it is not new.
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new export is held against."""

    #: Exports of an organization that may wait for their plan, unless it has a quota of its own.
    pending_quota: int = 1_000
    #: Bytes of images and annotations up to which the steps of an export are short.
    short_bytes: int = 16 * 1024 * 1024
    #: Networks that callbacks may call beside public addresses over HTTPS.
    webhook_allow: tuple[Network, ...] = ()


DEFAULT_LIMITS = Limits()


def create_export(
    database: Database,
    organization_id: str,
    request: ExportRequest,
    encode: Callable[[Export], bytes],
    limits: Limits = DEFAULT_LIMITS,
) -> Created:
    """Records an export as pending, in one transaction; touches no image.

    `encode` makes the answer, which a replay of the same idempotency key gets again.

    Raises:
        Invalid: fields are wrong; it names each and lists what is valid.
        NotFound: the organization has no such dataset.
        AlreadyExists: the dataset has an export of this name.
        Conflict: the idempotency key came before, with another request, or made an export that
            is deleted by now.
        QuotaExceeded: as many exports of the organization as may wait do so already.
    """
    fields = field_errors(request)
    if request.callback_url and (
        problem := callback_error(request.callback_url, limits.webhook_allow)
    ):
        fields["callback_url"] = problem
    request_hash = _hash(request)
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
                return Created(duplicate.id, encode(duplicate))
            check_quota(connection, organization_id, limits.pending_quota)
            lane, estimated_bytes = lane_of(
                connection,
                dataset.id,
                dataset.classes,
                class_filter=request.class_filter,
                status_filter=request.status_filter,
                include_unannotated=request.include_unannotated,
                include_images=request.include_images,
                short_bytes=limits.short_bytes,
            )
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
                    callback_url=request.callback_url,
                    status=Status.pending,
                    stage=Stage.plan,
                    lane=lane,
                    estimated_bytes=estimated_bytes,
                    request_id=logs.request_id.get(),
                    traceparent=logs.traceparent.get(),
                    created_at=now(),
                    queued_at=now(),
                    updated_at=now(),
                )
            )
            connection.execute(
                steps.insert().values(
                    export_id=export_id,
                    number=OWN,
                    kind=Step.plan,
                    organization_id=organization_id,
                    lane=lane,
                    due_at=now(),
                )
            )
            export = find_export(connection, organization_id, ExportAddress(id=export_id))
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
            return Created(export_id, response, lane)
    except (IntegrityError, AlreadyExists):
        # The name is taken, perhaps a moment ago by a request with this very key.
        with database.write() as connection:
            if replay := _replay(connection, organization_id, request, request_hash):
                return replay
            dataset = find_dataset(connection, organization_id, request.dataset_name)
            if duplicate := _duplicate(connection, dataset, request):
                return Created(duplicate.id, encode(duplicate))
        raise _exists(request) from None


def _hash(request: ExportRequest) -> str:
    """The same for the same request, to servers of any version."""
    said = {**asdict(request), "idempotency_key": ""}
    if not request.callback_url:
        # Older servers know none.
        del said["callback_url"]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()


def _exists(request: ExportRequest) -> AlreadyExists:
    return AlreadyExists(
        "EXPORT_EXISTS",
        f"Dataset {quoted(request.dataset_name)} has an export called {request.name!r} already; "
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
    is_there = exports.c.id == row.export_id, ~exports.c.deleted
    if connection.scalar(select(exports.c.id).where(*is_there)) is None:
        raise Conflict(
            "IDEMPOTENT_EXPORT_DELETED",
            "The export that this Idempotency-Key made is deleted; use a new key for a new export.",
            {"export_id": row.export_id},
        )
    _make_durable(connection, row.export_id)
    return Created(row.export_id, bytes(row.response))


def _make_durable(connection: Connection, export_id: str) -> None:
    """Lets the commit wait for the synchronous standby, as one that writes does.

    After a crash PostgreSQL shows what had been committed and not answered, before a standby has
    it; should that take over then, an export would be lost that was answered as made before.
    """
    connection.execute(
        exports.update().where(exports.c.id == export_id).values(request_id=exports.c.request_id)
    )


def _duplicate(connection: Connection, dataset: Dataset, request: ExportRequest) -> Export | None:
    """The export that took the name, where the request may be a repetition of its own.

    Raises:
        AlreadyExists: the name is taken by another request.
    """
    found = one_export(
        connection,
        exports_of(dataset.organization_id).where(
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
        and found.callback_url == request.callback_url
        and recent - found.created_at < DUPLICATE_SECONDS
    )
    if request.return_recent_duplicate and same:
        _make_durable(connection, found.id)
        return found
    raise _exists(request)
