"""The shapes of the REST bodies: they check what comes in and document what goes out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.dialects import FORMATS

Status = Literal["pending", "processing", "completed", "failed"]
ImageStatus = Literal["new", "annotate", "review", "complete"]

#: Classes that a filter may name: more the server does not take.
MAX_CLASSES = 10_000

#: The server refuses names with control characters.
NAME_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f]*$"


#: Addresses that a webhook takes, and no others that a browser might: ASCII, without a password.
#: One whose host is an address of IPv6 is taken as well.
URL_PATTERN = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9._-]+"
    r"(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
    r"([/?#][!-~]*)?$"
)


class ExportChoice(BaseModel):
    """What an export takes, and in which form. Keys that are not listed here are ignored."""

    model_config = ConfigDict(strict=True)

    dataset_name: str = Field(
        min_length=1,
        description="The dataset's name or slug.",
        json_schema_extra={"maxLength": 100, "pattern": NAME_PATTERN},
    )
    format: str = Field(
        "pictograph",
        min_length=1,
        description="How annotations are written.",
        json_schema_extra={"enum": list(FORMATS)},
    )
    include_images: bool = Field(False, description="Whether the archive holds the image files.")
    class_filter: Annotated[
        # One wrong item of a hundred thousand says enough.
        Annotated[list[str], Field(max_length=MAX_CLASSES, fail_fast=True)] | None,
        BeforeValidator(
            lambda value: None if value == "all" else value,
            json_schema_input_type=list[str] | Literal["all"] | None,
        ),
    ] = Field(
        None,
        description=f"Only annotations of these classes, at most {MAX_CLASSES:,}. Null, `all` and "
        "an empty list: every class.",
    )
    status_filter: str | None = Field(
        None,
        description="Only images of this status: `new`, `annotate`, `review` or `complete`. "
        "Null, an empty text and `all`: any.",
        json_schema_extra={"enum": ["new", "annotate", "review", "complete", "all", "", None]},
    )
    include_unannotated: bool = Field(
        False, description="With `class_filter`: keep images that have no annotation left."
    )
    organize_by_split: bool = Field(
        False, description="Top folders `train`, `valid` and `test` instead of one flat layout."
    )


class CreateExport(ExportChoice):
    """What to export. Keys that are not listed here are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dataset_name": "street-scenes",
                    "name": "Training Export v1",
                    "include_images": True,
                    "class_filter": ["car", "person"],
                    "status_filter": "complete",
                }
            ]
        },
    )

    name: str = Field(
        description="The export's name, unique in its dataset.",
        json_schema_extra={"minLength": 1, "maxLength": 100, "pattern": NAME_PATTERN},
    )
    callback_url: str | None = Field(
        None,
        max_length=1000,
        description="Told when the export has completed or failed, as a webhook is, and signed "
        "with the secret of `GET /api/v1/developer/webhooks/callbacks/secret`. HTTPS; redirects "
        "are not followed. An address that a webhook has is told by that alone.",
        json_schema_extra={"pattern": URL_PATTERN},
    )


class PreviewExport(ExportChoice):
    """What to preview: the body of Create export, whose name may be left out. Keys that are not
    listed here are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dataset_name": "street-scenes",
                    "format": "coco",
                    "include_images": True,
                    "class_filter": ["car", "person"],
                    "status_filter": "complete",
                }
            ]
        },
    )

    name: str | None = Field(
        None,
        description="The export's name: checked where it is given.",
        json_schema_extra={"maxLength": 100, "pattern": NAME_PATTERN},
    )


class BulkDelete(BaseModel):
    """Which exports to delete."""

    model_config = ConfigDict(strict=True)

    export_ids: list[Annotated[str, Field(max_length=100, pattern=NAME_PATTERN)]] = Field(
        min_length=1,
        max_length=1000,
        fail_fast=True,
        description="Ids of exports; duplicates count once.",
    )


class RetryExport(BaseModel):
    """How to take a failed export up again."""

    model_config = ConfigDict(strict=True)

    fresh: bool = Field(
        False, description="Begin with a new snapshot of the dataset, and use nothing finished."
    )


class Warnings(BaseModel):
    """What the format could not hold, in annotations or images."""

    clamped: int = Field(description="Annotations moved to the edge of their image.")
    degraded: int = Field(description="Annotations written in a poorer shape.")
    dropped: int = Field(description="Annotations left out.")
    renamed: int = Field(description="Images with another name in the archive.")
    unannotated: int = Field(description="Images without any annotation.")


class Retries(BaseModel):
    """What of an export's work was tried again since it was created, or taken up again last."""

    count: int = Field(description="Of parts, of which there are many beside each other.")
    code: str = Field(
        description="Why, the last time, for programs. One of `store_unavailable`, "
        "`database_unavailable`, `worker_missing`, `worker_lost`, `out_of_memory`, `upload_lost`, "
        "`archive_damaged` and `internal`; others may come."
    )
    reason: str = Field(description="The same, for people.")
    at: str = Field(json_schema_extra={"format": "date-time"})
    next_at: str | None = Field(
        description="When that part goes on; null: the export has ended.",
        json_schema_extra={"format": "date-time"},
    )


class Export(BaseModel):
    """One request for one archive, and what became of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b6c1d0e-7f6a-4f5e-9d5b-0a4a3f0f7d11",
                    "name": "Training Export v1",
                    "dataset_id": "5f0c9c39-8a43-4a57-b3a4-3b8c0c1a2b10",
                    "project_id": "5f0c9c39-8a43-4a57-b3a4-3b8c0c1a2b10",
                    "dataset_name": "street-scenes",
                    "organization_id": "c1a4f3d2-2f58-4a1c-8a52-5d3f5a9a7e01",
                    "format": "pictograph",
                    "include_images": True,
                    "class_filter": ["car", "person"],
                    "status_filter": "complete",
                    "include_unannotated": False,
                    "organize_by_split": False,
                    "status": "completed",
                    "progress": 1.0,
                    "image_count": 150,
                    "annotation_count": 820,
                    "file_size": 52428800,
                    "created_at": "2024-01-15T10:30:00Z",
                    "completed_at": "2024-01-15T10:35:00Z",
                    "expires_at": "2024-02-14T10:35:00Z",
                    "download_url": None,
                    "crc32": "cbf43926",
                    "sha256": None,
                    "warnings": {
                        "clamped": 0,
                        "degraded": 0,
                        "dropped": 0,
                        "renamed": 0,
                        "unannotated": 12,
                    },
                    "stage": "done",
                    "segment_count": 4,
                    "segments_done": 4,
                    "bytes_total": 52428800,
                    "bytes_done": 52428800,
                    "queued_at": "2024-01-15T10:30:00Z",
                    "snapshot_at": "2024-01-15T10:30:01Z",
                    "callback_url": None,
                    "retries": None,
                }
            ]
        }
    )

    id: str
    name: str
    dataset_id: str
    project_id: str = Field(description="The same as `dataset_id`, for older SDKs.")
    dataset_name: str
    organization_id: str
    format: str
    include_images: bool
    class_filter: list[str] | None = Field(description="Null: every class.")
    status_filter: ImageStatus | None = Field(description="Null: any status.")
    include_unannotated: bool
    organize_by_split: bool
    status: Status
    progress: float = Field(
        ge=0, le=1, description="Share of the work that is done, weighted by bytes."
    )
    image_count: int | None = Field(description="Null until the selection is frozen.")
    annotation_count: int | None = Field(description="Null until the selection is frozen.")
    file_size: int | None = Field(description="Bytes of the archive; null until completed.")
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    completed_at: str | None = Field(json_schema_extra={"format": "date-time"})
    expires_at: str | None = Field(
        description="When the export is removed, with its archive; null: never.",
        json_schema_extra={"format": "date-time"},
    )
    download_url: None = Field(description="Always null: ask the download path for a link.")
    crc32: str | None = Field(description="CRC-32 of the archive, 8 hexadecimal digits.")
    sha256: str | None = Field(description="SHA-256 of the archive, where it is known.")
    warnings: Warnings | None = Field(description="Null until completed.")
    stage: Literal["plan", "build", "finish", "done"] | None = Field(
        description="What comes next, or is under way; `done`: the export has ended; null: not "
        "known."
    )
    segment_count: int = Field(description="Parts of the archive; 0 until it is planned.")
    segments_done: int = Field(description="Parts that are built.")
    bytes_total: int = Field(description="The work in bytes; 0 until it is planned.")
    bytes_done: int = Field(description="How much of it is done.")
    queued_at: str | None = Field(
        description="When it was created, or taken up again last.",
        json_schema_extra={"format": "date-time"},
    )
    snapshot_at: str | None = Field(
        description="When its selection was frozen; null: it has not been.",
        json_schema_extra={"format": "date-time"},
    )
    callback_url: str | None = Field(description="Told of its end; null: nobody is.")
    retries: Retries | None = Field(description="Null: everything went well at once.")
    error_message: str = Field("", description="Only on failed exports: why, and what to do.")
    error_code: str = Field(
        "",
        description="Only on failed exports: why, for programs. One of `selection_empty`, "
        "`dataset_deleted`, `image_unusable`, `names_clash`, `deadline_exceeded`, `worker_lost`, "
        "`cancelled` and `internal`; others may come.",
    )


class DatasetClass(BaseModel):
    """A class of a dataset."""

    name: str
    type: str = Field(description="`bbox`, `polygon`, `polyline` or `keypoint`.")
    color: str = Field(description="`#rrggbb`, or the name of a colour.")


class Dataset(BaseModel):
    """A dataset."""

    id: str
    name: str
    slug: str
    organization_id: str
    image_count: int
    annotation_count: int
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    classes: list[DatasetClass]


class Datasets(BaseModel):
    """A page of datasets, by name."""

    datasets: list[Dataset]
    total: int = Field(description="Over all pages.")


class ExportFormat(BaseModel):
    """A way to write annotations."""

    name: str
    description: str = Field(description="What is in the archive, and who reads it.")
    cannot_hold: str = Field(description="What is lost, and how; empty: nothing.")


class Formats(BaseModel):
    """The formats, the default first."""

    formats: list[ExportFormat]


EventType = Literal["export.completed", "export.failed", "export.expiring"]


class CreateWebhook(BaseModel):
    """Where to tell of exports. Keys that are not listed here are ignored."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "examples": [
                {"url": "https://example.org/hooks/cartouche", "events": ["export.completed"]}
            ]
        },
    )

    url: str = Field(
        min_length=1,
        max_length=1000,
        description="HTTPS; redirects are not followed.",
        json_schema_extra={"pattern": URL_PATTERN},
    )
    events: list[EventType] = Field(
        default_factory=list, max_length=10, description="Empty: all of them."
    )
    description: str = Field("", max_length=200, json_schema_extra={"pattern": NAME_PATTERN})


class UpdateWebhook(BaseModel):
    """What to change. Keys that are not listed here are ignored."""

    model_config = ConfigDict(strict=True)

    url: str | None = Field(
        None, min_length=1, max_length=1000, json_schema_extra={"pattern": URL_PATTERN}
    )
    events: list[EventType] | None = Field(None, max_length=10)
    description: str | None = Field(
        None, max_length=200, json_schema_extra={"pattern": NAME_PATTERN}
    )
    enabled: bool | None = None


class Webhook(BaseModel):
    """An address that is told what happens to exports."""

    id: str
    url: str
    events: list[str] = Field(description="Empty: all of them.")
    description: str
    enabled: bool
    disabled_reason: str | None = Field(description="Why it is not, where nobody asked for that.")
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    failing_since: str | None = Field(
        description="Since when every attempt has failed; null: the last one did not.",
        json_schema_extra={"format": "date-time"},
    )


class NewWebhook(Webhook):
    """A webhook, and what its messages are signed with."""

    secret: str = Field(description="`whsec_…`: told once.")


class Webhooks(BaseModel):
    """Every webhook of the organization."""

    webhooks: list[Webhook]


class Secret(BaseModel):
    """What messages are signed with. Beside a new one, the one before works for another day."""

    secret: str


class DeliveryAttempt(BaseModel):
    """One try."""

    at: str = Field(json_schema_extra={"format": "date-time"})
    http_status: int | None = Field(description="Of the answer; null: there was none.")
    error: str | None = Field(description="Why it did not count; null: it did.")
    milliseconds: int


class Delivery(BaseModel):
    """A message, and what became of it."""

    id: str = Field(description="As the header `webhook-id` has it.")
    event: str
    payload: str
    status: Literal["pending", "delivered", "failed"]
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    next_attempt_at: str | None = Field(json_schema_extra={"format": "date-time"})
    attempts: list[DeliveryAttempt]
    url: str = Field(description="Where it goes.")


class Deliveries(BaseModel):
    """Messages of the last week, the newest first."""

    deliveries: list[Delivery]
    total: int


class MessageId(BaseModel):
    """A message that is sent."""

    delivery_id: str


class DeletedWebhook(BaseModel):
    """That a webhook was deleted."""

    id: str
    deleted: Literal[True]


class Download(BaseModel):
    """Where the archive can be fetched, without a key, until the link expires."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "download_url": "https://storage.example.com/exports/archive.zip?signature=…",
                    "expires_at": "2024-01-15T11:35:00Z",
                    "file_size": 52428800,
                    "name": "Training Export v1",
                    "crc32": "cbf43926",
                    "sha256": None,
                }
            ]
        }
    )

    download_url: str
    expires_at: str = Field(
        description="When the link ends.", json_schema_extra={"format": "date-time"}
    )
    file_size: int = Field(description="Bytes of the archive.")
    name: str = Field(description="The export's name.")
    crc32: str | None = Field(description="CRC-32 of the archive, 8 hexadecimal digits.")
    sha256: str | None = Field(description="SHA-256 of the archive, where it is known.")


class ClassCount(BaseModel):
    """A class of a selection."""

    name: str
    annotation_count: int = Field(description="Selected, before the format drops any.")


class ExpectedLoss(BaseModel):
    """Something that the format cannot hold."""

    kind: Literal["clamped", "degraded", "dropped", "renamed", "unannotated"]
    code: str = Field(
        description="Stable, with one meaning over all formats. The codes in manifest.json equal "
        "it, or begin with it and a dot."
    )
    reason: str = Field(description="A sentence for people.")
    count: int = Field(description="Annotations; images where they are renamed or unannotated.")
    at_most: bool = Field(description="Whether the archive may lose fewer.")


class Preview(BaseModel):
    """What an export would hold. Numbers marked `at_most` are the most there can be: only the
    annotations themselves tell the rest, and a preview reads none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "image_count": 150,
                    "image_count_at_most": False,
                    "annotation_count": 812,
                    "annotation_count_at_most": False,
                    "estimated_size": 52400000,
                    "classes": [
                        {"name": "car", "annotation_count": 530},
                        {"name": "person", "annotation_count": 290},
                    ],
                    "losses": [
                        {
                            "kind": "clamped",
                            "code": "shape.clamped",
                            "reason": "reaches over the edge of the image",
                            "count": 17,
                            "at_most": False,
                        },
                        {
                            "kind": "dropped",
                            "code": "polyline.unsupported",
                            "reason": "COCO has no polylines",
                            "count": 8,
                            "at_most": False,
                        },
                    ],
                    "warnings": {
                        "clamped": 17,
                        "degraded": 0,
                        "dropped": 8,
                        "renamed": 0,
                        "unannotated": 0,
                    },
                    "notes": [],
                }
            ]
        }
    )

    image_count: int
    image_count_at_most: bool
    annotation_count: int = Field(description="In the archive, after what the format drops.")
    annotation_count_at_most: bool
    estimated_size: int = Field(
        description="Bytes of the archive: image files are counted, the text is estimated."
    )
    classes: list[ClassCount] = Field(description="In the dataset's class order.")
    losses: list[ExpectedLoss] = Field(description="By kind and reason.")
    warnings: Warnings = Field(description="The sums of `losses` by kind.")
    notes: list[str] = Field(description="Sentences for people.")


class Deleted(BaseModel):
    """That an export was deleted."""

    message: str
    id: str
    deleted: Literal[True]


class BulkDeleted(BaseModel):
    """Which exports were deleted."""

    deleted: list[str]
    succeeded: list[str] = Field(description="The same as `deleted`, for newer SDKs.")
    not_found: list[str] = Field(description="Ids of no export of this organization.")
    count: int = Field(description="How many were deleted.")


class ExportData(BaseModel):
    """One export, as SDKs from 1.61.0 read it."""

    data: Export


class DownloadData(Download):
    """A link, as SDKs from 1.61.0 read it."""

    data: Download


class PreviewData(Preview):
    """A preview, as SDKs from 1.61.0 read it."""

    data: Preview


class DeletedData(Deleted):
    """A deletion, as SDKs from 1.61.0 read it."""

    data: Deleted


class Error(BaseModel):
    """What went wrong, and what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "not_found",
                    "message": "The organization has no dataset called 'street-scenes'.",
                    "detail": "The organization has no dataset called 'street-scenes'.",
                }
            ]
        }
    )

    error: str = Field(description="A word for programs.")
    message: str = Field(description="A sentence for people.")
    detail: str = Field(description="The same as `message`.")
    details: dict[str, Any] = Field(
        default_factory=dict,
        description="More for programs: `errors` lists wrong fields, `retry_after` gives seconds.",
    )


class ErrorWords(BaseModel):
    """An error's word, sentence and details."""

    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)


class ErrorObject(BaseModel):
    """What went wrong, as SDKs from 1.61.5 read it."""

    error: ErrorWords
    detail: str


class Health(BaseModel):
    """Whether a part works."""

    status: Annotated[Literal["ok", "unavailable"], Field(description="`ok`, or what is not.")]
