"""What an export is: its status, its request and its record, as plain values."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The four words of the wire."""

    pending = "pending"
    processing = "processing"
    completed = "completed"
    failed = "failed"


class ErrorCode(StrEnum):
    """Why an export failed, for programs. One meaning each, for ever."""

    #: The filters select no image.
    selection_empty = "selection_empty"
    #: The dataset was deleted before the export was planned.
    dataset_deleted = "dataset_deleted"
    #: The bytes of an image are missing from the store, or are not those that were imported.
    image_unusable = "image_unusable"
    #: Two images would have the same name in the archive.
    names_clash = "names_clash"
    #: It was not finished in time: a part of the service was away.
    deadline_exceeded = "deadline_exceeded"
    #: It killed the processes that worked on it, most likely for want of memory.
    worker_lost = "worker_lost"
    #: Somebody called CancelExport.
    cancelled = "cancelled"
    #: An error of Cartouche.
    internal = "internal"


class Setback(StrEnum):
    """Why a part of the work is tried again, for programs. One meaning each, for ever."""

    store_unavailable = "store_unavailable"
    database_unavailable = "database_unavailable"
    #: Only workers of another version make the same bytes, or read what was planned.
    worker_missing = "worker_missing"
    #: Nothing was heard any more of the worker that had it.
    worker_lost = "worker_lost"
    out_of_memory = "out_of_memory"
    #: The store forgot what was built.
    upload_lost = "upload_lost"
    #: The check found other bytes in the store than were sent.
    archive_damaged = "archive_damaged"
    #: An error of Cartouche.
    internal = "internal"


class Stage(StrEnum):
    """What an export waits for; `done` when it has ended."""

    plan = "plan"
    build = "build"
    finish = "finish"
    done = "done"


class Step(StrEnum):
    """What a worker claims."""

    plan = "plan"
    segment = "segment"
    finish = "finish"
    remove = "remove"


class Lane(StrEnum):
    """Short steps never wait for long ones: they have workers of their own."""

    short = "short"
    long = "long"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What a caller asks for. Empty filters take everything."""

    dataset_name: str
    name: str
    format: str
    include_images: bool = False
    class_filter: tuple[str, ...] = ()
    status_filter: str = ""
    include_unannotated: bool = False
    organize_by_split: bool = False
    idempotency_key: str = ""
    return_recent_duplicate: bool = False
    #: Told when it ends; empty: nobody is.
    callback_url: str = ""


@dataclass(frozen=True, slots=True)
class Retries:
    """What of an export's work was tried again since it was created, or taken up again last."""

    count: int
    #: Of the last time: why (one of Setback, or what a newer version calls it), and since when.
    why: str
    at: float
    #: When that goes on; None: it has ended.
    next_at: float | None


@dataclass(frozen=True, slots=True)
class Export:
    """An export as its record tells it. Times are seconds since 1970, sizes bytes."""

    id: str
    organization_id: str
    dataset_id: str
    dataset_name: str
    name: str
    format: str
    include_images: bool
    class_filter: tuple[str, ...]
    status_filter: str
    include_unannotated: bool
    organize_by_split: bool
    status: Status
    error_message: str
    #: One of ErrorCode, where it failed.
    error_code: str
    progress: float
    image_count: int | None
    annotation_count: int | None
    file_size: int | None
    crc32: int | None
    sha256: str | None
    warnings: dict[str, int] | None
    created_at: float
    completed_at: float | None
    expires_at: float | None
    stage: Stage
    segment_count: int
    segments_done: int
    #: The work in bytes, and how much of it is done.
    bytes_total: int
    bytes_done: int
    #: When it was created, or taken up again last.
    queued_at: float | None
    #: When its selection was frozen.
    snapshot_at: float | None
    #: Told when it ends; empty: nobody is.
    callback_url: str
    #: None: everything went well at once.
    retries: Retries | None
    version: int


@dataclass(frozen=True, slots=True)
class ExportAddress:
    """One export: by id, or by dataset and name."""

    id: str = ""
    dataset_name: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some exports of a list, and how many the whole list has."""

    exports: tuple[Export, ...]
    total: int


def archive_key(organization_id: str, export_id: str) -> str:
    """Where the archive of an export lies in the exports bucket."""
    return f"{export_prefix(organization_id, export_id)}archive.zip"


def staging_prefix(organization_id: str, export_id: str) -> str:
    """Where manifests and staged text lie until the archive is finished."""
    return f"{export_prefix(organization_id, export_id)}staging/"


def export_prefix(organization_id: str, export_id: str) -> str:
    """Everything that the store holds of an export begins with this."""
    return f"{organization_id}/{export_id}/"
