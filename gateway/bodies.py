"""From messages of the server to the fields of the REST answers."""

from datetime import UTC, datetime
from typing import Any

from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.exports.v1 import export_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

#: The words of the wire.
STATUSES = {
    pb.EXPORT_STATUS_PENDING: "pending",
    pb.EXPORT_STATUS_PROCESSING: "processing",
    pb.EXPORT_STATUS_COMPLETED: "completed",
    pb.EXPORT_STATUS_FAILED: "failed",
}
_LOSS_KINDS = {
    pb.LOSS_KIND_CLAMPED: "clamped",
    pb.LOSS_KIND_DEGRADED: "degraded",
    pb.LOSS_KIND_DROPPED: "dropped",
    pb.LOSS_KIND_RENAMED: "renamed",
    pb.LOSS_KIND_UNANNOTATED: "unannotated",
}


def export(message: pb.Export) -> dict[str, Any]:
    """One export, with every key always; but those of an error only on a failed one."""
    body: dict[str, Any] = {
        "id": message.id,
        "name": message.name,
        "dataset_id": message.dataset_id,
        # What SDKs before 1.69.62 call the dataset's id.
        "project_id": message.dataset_id,
        "dataset_name": message.dataset_name,
        "organization_id": message.organization_id,
        "format": message.format,
        "include_images": message.include_images,
        "class_filter": list(message.class_filter) or None,
        "status_filter": message.status_filter or None,
        "include_unannotated": message.include_unannotated,
        "organize_by_split": message.organize_by_split,
        "status": STATUSES[message.status],
        "progress": message.progress,
        "image_count": message.image_count if message.HasField("image_count") else None,
        "annotation_count": (
            message.annotation_count if message.HasField("annotation_count") else None
        ),
        "file_size": message.file_size if message.HasField("file_size") else None,
        "created_at": time_words(message.created_at),
        "completed_at": time_words(message.completed_at)
        if message.HasField("completed_at")
        else None,
        "expires_at": time_words(message.expires_at) if message.HasField("expires_at") else None,
        # Links are made on demand: the download path answers with a fresh one.
        "download_url": None,
        "crc32": f"{message.crc32:08x}" if message.HasField("crc32") else None,
        "sha256": message.sha256 or None,
        "warnings": _warnings(message.warnings) if message.HasField("warnings") else None,
        # An older server tells none.
        "stage": message.stage or None,
        "segment_count": message.segment_count,
        "segments_done": message.segments_done,
        "bytes_total": message.bytes_total,
        "bytes_done": message.bytes_done,
        "queued_at": time_words(message.queued_at) if message.HasField("queued_at") else None,
        "snapshot_at": time_words(message.snapshot_at) if message.HasField("snapshot_at") else None,
        "callback_url": message.callback_url or None,
        "retries": _retries(message.retries) if message.HasField("retries") else None,
    }
    if message.status == pb.EXPORT_STATUS_FAILED:
        body["error_message"] = message.error_message
        body["error_code"] = message.error_code
    return body


def dataset(message: catalog_pb.Dataset) -> dict[str, Any]:
    """One dataset, with its classes."""
    return {
        "id": message.id,
        "name": message.name,
        "slug": message.slug,
        "organization_id": message.organization_id,
        "image_count": message.image_count,
        "annotation_count": message.annotation_count,
        "created_at": time_words(message.created_at),
        "classes": [
            {"name": kind.name, "type": kind.type, "color": kind.color} for kind in message.classes
        ],
    }


def export_format(message: pb.ExportFormat) -> dict[str, str]:
    """A format, and what it is for."""
    return {
        "name": message.name,
        "description": message.description,
        "cannot_hold": message.cannot_hold,
    }


def download(message: pb.GetDownloadUrlResponse) -> dict[str, Any]:
    """Where the archive of an export can be fetched."""
    return {
        "download_url": message.download_url,
        "expires_at": time_words(message.expires_at),
        "file_size": message.file_size,
        "name": message.name,
        "crc32": f"{message.crc32:08x}" if message.HasField("crc32") else None,
        "sha256": message.sha256 or None,
    }


def preview(message: pb.PreviewExportResponse) -> dict[str, Any]:
    """What an export would hold."""
    return {
        "image_count": message.image_count,
        "image_count_at_most": message.image_count_at_most,
        "annotation_count": message.annotation_count,
        "annotation_count_at_most": message.annotation_count_at_most,
        "estimated_size": message.estimated_size,
        "classes": [
            {"name": item.name, "annotation_count": item.annotation_count}
            for item in message.classes
        ],
        "losses": [
            {
                "kind": _LOSS_KINDS[loss.kind],
                "code": loss.code,
                "reason": loss.reason,
                "count": loss.count,
                "at_most": loss.at_most,
            }
            for loss in message.losses
        ],
        "warnings": _warnings(message.warnings),
        "notes": list(message.notes),
    }


def deleted(message: pb.DeleteExportResponse) -> dict[str, Any]:
    """That an export was deleted."""
    return {"message": "The export was deleted.", "id": message.id, "deleted": True}


def bulk_deleted(message: pb.BulkDeleteExportsResponse) -> dict[str, Any]:
    """Which exports were deleted; SDKs from 1.61.0 read `succeeded`, older ones `deleted`."""
    return {
        "deleted": list(message.deleted),
        "succeeded": list(message.deleted),
        "not_found": list(message.not_found),
        "count": len(message.deleted),
    }


def _retries(message: pb.ExportRetries) -> dict[str, Any]:
    return {
        "count": message.count,
        "code": message.code,
        "reason": message.reason,
        "at": time_words(message.at),
        "next_at": time_words(message.next_at) if message.HasField("next_at") else None,
    }


def _warnings(message: pb.ExportWarnings) -> dict[str, int]:
    return {
        "clamped": message.clamped,
        "degraded": message.degraded,
        "dropped": message.dropped,
        "renamed": message.renamed,
        "unannotated": message.unannotated,
    }


def time_words(timestamp: Timestamp) -> str:
    """`2024-01-15T10:30:00Z`: UTC, whole seconds."""
    return datetime.fromtimestamp(timestamp.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
