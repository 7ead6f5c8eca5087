"""Exports as people read them, and as programs do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from cartouche.exports.v1 import export_service_pb2 as pb
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from services.texts import printable

_PREFIX = "EXPORT_STATUS_"
STATUSES: dict[str, "pb.ExportStatus.ValueType"] = {
    name.removeprefix(_PREFIX).lower(): number
    for name, number in pb.ExportStatus.items()
    if number != pb.EXPORT_STATUS_UNSPECIFIED
}
_WORDS = {number: word for word, number in STATUSES.items()}


def status_word(export: pb.Export) -> str:
    """pending, processing, completed or failed."""
    return _WORDS.get(export.status, "unknown")


def as_json(message: Message) -> dict[str, Any]:
    """A message with the names of its proto: numbers are numbers, times RFC 3339, enums words in
    lower case without their prefix, and what is not known is null."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.has_presence and not message.HasField(field.name):
            found[field.name] = None
        elif field.is_repeated:
            found[field.name] = [as_json(v) if isinstance(v, Message) else v for v in value]
        elif isinstance(value, Timestamp):
            found[field.name] = MessageToDict(value)
        elif isinstance(value, Message):
            found[field.name] = as_json(value)
        elif field.enum_type:
            name = field.enum_type.values_by_number[value].name
            # LossKind's values begin with LOSS_KIND_.
            prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            found[field.name] = name.removeprefix(prefix).lower()
        else:
            found[field.name] = value
    return found


def json_line(message: Message) -> str:
    """A message in one line of JSON."""
    return orjson.dumps(as_json(message)).decode()


def export_lines(exports: Sequence[pb.Export], total: int) -> list[str]:
    """A line for each export, in columns, and how many there are."""
    rows = [("DATASET", "NAME", "FORMAT", "STATUS", "IMAGES", "SIZE", "CREATED", "EXPIRES")]
    for export in exports:
        status = status_word(export)
        if export.status == pb.EXPORT_STATUS_PROCESSING:
            status = f"{status} {export.progress:.0%}"
        rows.append(
            (
                printable(export.dataset_name),
                printable(export.name),
                export.format,
                status,
                f"{export.image_count:,}" if export.HasField("image_count") else "-",
                size_words(export.file_size) if export.HasField("file_size") else "-",
                _time(export, "created_at") or "-",
                _time(export, "expires_at") or "-",
            )
        )
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    return [*lines, f"{len(exports):,} of {total:,}"]


def export_rows(export: pb.Export) -> Table:
    """Everything of one export."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {
        "id": export.id,
        "dataset": export.dataset_name,
        "name": export.name,
        "format": export.format,
        "images in it": "yes" if export.include_images else "no",
        "classes": ", ".join(export.class_filter) or "all",
        "statuses": export.status_filter or "all",
        "by split": "yes" if export.organize_by_split else "no",
        "status": status_word(export),
    }
    if export.status == pb.EXPORT_STATUS_PROCESSING:
        rows["progress"] = f"{export.progress:.0%}"
    if export.HasField("image_count"):
        rows["images"] = f"{export.image_count:,}"
    if export.HasField("annotation_count"):
        rows["annotations"] = f"{export.annotation_count:,}"
    if export.HasField("file_size"):
        rows["size"] = size_words(export.file_size)
    if export.HasField("crc32"):
        rows["CRC-32"] = f"{export.crc32:08x}"
    if export.sha256:
        rows["SHA-256"] = export.sha256
    if export.HasField("warnings"):
        lost = as_json(export.warnings)
        rows["losses"] = ", ".join(f"{n:,} {what}" for what, n in lost.items() if n) or "none"
    if export.HasField("retries"):
        times = "once" if export.retries.count == 1 else f"{export.retries.count:,} times"
        rows["tried again"] = f"{times}: {export.retries.reason}"
        if export.retries.HasField("next_at"):
            rows["goes on"] = f"{export.retries.next_at.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
    if export.callback_url:
        rows["callback"] = export.callback_url
    if export.error_message:
        rows["error"] = f"{export.error_message} ({export.error_code})"
    for name in ("created_at", "completed_at", "expires_at"):
        if time := _time(export, name):
            rows[name.removesuffix("_at")] = time
    for title, value in rows.items():
        table.add_row(title, _text(value))
    return table


def preview_rows(preview: pb.PreviewExportResponse) -> Table:
    """What an archive would hold and lose."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    most = {True: "at most ", False: ""}
    table.add_row("images", f"{most[preview.image_count_at_most]}{preview.image_count:,}")
    table.add_row(
        "annotations", f"{most[preview.annotation_count_at_most]}{preview.annotation_count:,}"
    )
    table.add_row("size", f"about {size_words(preview.estimated_size)}")
    for found in preview.classes:
        table.add_row("class", _text(f"{found.name}: {found.annotation_count:,}"))
    for loss in preview.losses:
        kind = pb.LossKind.Name(loss.kind).removeprefix("LOSS_KIND_").lower()
        table.add_row(kind, _text(f"{most[loss.at_most]}{loss.count:,}: {loss.reason}"))
    for note in preview.notes:
        table.add_row("note", _text(note))
    return table


def size_words(size: int) -> str:
    """Bytes in the unit that people read: 1.2 MB."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def _text(words: str) -> Text:
    # As plain text: names may look like markup, or move the cursor.
    return Text(printable(words))


def _time(export: pb.Export, name: str) -> str:
    if not export.HasField(name):  # type: ignore[arg-type]
        return ""
    found: datetime = getattr(export, name).ToDatetime()
    return f"{found:%Y-%m-%d %H:%M:%S} UTC"
