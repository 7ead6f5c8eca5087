"""Exports between their record and protobuf."""

from cartouche.exports.v1 import export_service_pb2 as pb

from services.errors import Invalid
from services.exports.model import (
    Export,
    ExportAddress,
    ExportRequest,
    Retries,
    Setback,
    Status,
)
from services.exports.preview import Preview
from services.formats.common.export_format import ExportFormat
from services.formats.common.losses import Kind
from services.formats.registry import DEFAULT_FORMAT
from services.rpc.timestamps import timestamp

_STATUS = {
    Status.pending: pb.EXPORT_STATUS_PENDING,
    Status.processing: pb.EXPORT_STATUS_PROCESSING,
    Status.completed: pb.EXPORT_STATUS_COMPLETED,
    Status.failed: pb.EXPORT_STATUS_FAILED,
}
_KINDS = {
    Kind.clamped: pb.LOSS_KIND_CLAMPED,
    Kind.degraded: pb.LOSS_KIND_DEGRADED,
    Kind.dropped: pb.LOSS_KIND_DROPPED,
    Kind.renamed: pb.LOSS_KIND_RENAMED,
    Kind.unannotated: pb.LOSS_KIND_UNANNOTATED,
}
_STATUS_BACK = {value: key for key, value in _STATUS.items()}

#: Sentences for people, of what only whoever runs Cartouche can change.
_SETBACKS: dict[str, str] = {
    Setback.store_unavailable: "The object store did not answer.",
    Setback.database_unavailable: "The database did not answer.",
    Setback.worker_missing: "It waits for a worker of the version that began it.",
    Setback.worker_lost: "A worker was lost.",
    Setback.out_of_memory: "It took more memory than a worker had left.",
    Setback.upload_lost: "The object store lost what was built, which is built again.",
    Setback.archive_damaged: "The archive was damaged in the store, and is built again.",
    Setback.internal: "There was an error on our side.",
}

AddressedRequest = (
    pb.GetExportRequest
    | pb.WatchExportRequest
    | pb.GetDownloadUrlRequest
    | pb.RetryExportRequest
    | pb.CancelExportRequest
    | pb.DeleteExportRequest
)


def export_message(export: Export) -> pb.Export:
    """The record of an export as callers see it."""
    message = pb.Export(
        id=export.id,
        organization_id=export.organization_id,
        dataset_id=export.dataset_id,
        dataset_name=export.dataset_name,
        name=export.name,
        format=export.format,
        include_images=export.include_images,
        class_filter=export.class_filter,
        status_filter=export.status_filter,
        include_unannotated=export.include_unannotated,
        organize_by_split=export.organize_by_split,
        status=_STATUS[export.status],
        progress=export.progress,
        image_count=export.image_count,
        annotation_count=export.annotation_count,
        file_size=export.file_size,
        error_message=export.error_message,
        error_code=export.error_code,
        created_at=timestamp(export.created_at),
        crc32=export.crc32,
        sha256=export.sha256 or "",
        stage=export.stage,
        segment_count=export.segment_count,
        segments_done=export.segments_done,
        bytes_total=export.bytes_total,
        bytes_done=export.bytes_done,
        callback_url=export.callback_url,
    )
    if export.retries is not None:
        message.retries.CopyFrom(_retries(export.retries))
    if export.queued_at is not None:
        message.queued_at.CopyFrom(timestamp(export.queued_at))
    if export.snapshot_at is not None:
        message.snapshot_at.CopyFrom(timestamp(export.snapshot_at))
    if export.completed_at is not None:
        message.completed_at.CopyFrom(timestamp(export.completed_at))
    if export.expires_at is not None:
        message.expires_at.CopyFrom(timestamp(export.expires_at))
    if export.warnings is not None:
        message.warnings.CopyFrom(pb.ExportWarnings(**export.warnings))
    return message


def _retries(found: Retries) -> pb.ExportRetries:
    message = pb.ExportRetries(
        count=found.count,
        code=found.why,
        reason=_SETBACKS.get(found.why, "A part of the work did not get done."),
        at=timestamp(found.at),
    )
    if found.next_at is not None:
        message.next_at.CopyFrom(timestamp(found.next_at))
    return message


def status_filter(value: pb.ExportStatus.ValueType) -> Status | None:
    """The status that a list asks for; None: any.

    Raises:
        Invalid: it is none of them.
    """
    if value and value not in _STATUS_BACK:
        raise Invalid.of("status", f"{value} is unknown; use one of {', '.join(Status)}")
    return _STATUS_BACK.get(value)


def export_request(message: pb.CreateExportRequest) -> ExportRequest:
    """What a caller asks for, with the defaults filled in."""
    return ExportRequest(
        dataset_name=message.dataset_name,
        name=message.name,
        format=message.format or DEFAULT_FORMAT,
        include_images=message.include_images,
        class_filter=tuple(dict.fromkeys(message.class_filter)),
        status_filter="" if message.status_filter == "all" else message.status_filter,
        include_unannotated=message.include_unannotated,
        organize_by_split=message.organize_by_split,
        idempotency_key=message.idempotency_key,
        return_recent_duplicate=message.return_recent_duplicate,
        callback_url=message.callback_url,
    )


def preview_request(message: pb.PreviewExportRequest) -> ExportRequest:
    """The same for a preview, whose name may be empty."""
    return ExportRequest(
        dataset_name=message.dataset_name,
        name=message.name,
        format=message.format or DEFAULT_FORMAT,
        include_images=message.include_images,
        class_filter=tuple(dict.fromkeys(message.class_filter)),
        status_filter="" if message.status_filter == "all" else message.status_filter,
        include_unannotated=message.include_unannotated,
        organize_by_split=message.organize_by_split,
    )


def preview_message(preview: Preview) -> pb.PreviewExportResponse:
    """A preview as callers see it."""
    return pb.PreviewExportResponse(
        image_count=preview.image_count,
        image_count_at_most=preview.image_count_at_most,
        annotation_count=preview.annotation_count,
        annotation_count_at_most=preview.annotation_count_at_most,
        estimated_size=preview.estimated_size,
        classes=[
            pb.PreviewClass(name=name, annotation_count=count) for name, count in preview.classes
        ],
        losses=[
            pb.ExpectedLoss(
                kind=_KINDS[loss.kind],
                code=loss.code,
                reason=loss.reason,
                count=loss.count,
                at_most=loss.at_most,
            )
            for loss in preview.losses
        ],
        warnings=pb.ExportWarnings(**preview.warnings),
        notes=preview.notes,
    )


def format_message(found: ExportFormat) -> pb.ExportFormat:
    """A format as callers see it."""
    return pb.ExportFormat(
        name=found.name, description=found.description, cannot_hold=found.cannot_hold
    )


def export_address(message: AddressedRequest) -> ExportAddress:
    """Which export a call is about.

    Raises:
        Invalid: it names none.
    """
    if message.id:
        return ExportAddress(id=message.id)
    if message.by_name.dataset_name and message.by_name.name:
        return ExportAddress(dataset_name=message.by_name.dataset_name, name=message.by_name.name)
    raise Invalid.of("address", "give the export's id, or its dataset_name and name")
