"""Readers of datasets on disk, by source format."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from services.catalog.model import IMAGE_STATUSES
from services.formats.coco import reader as coco
from services.formats.common.source import (
    ImportFailed,
    ImportIssue,
    ImportItem,
    ImportSource,
)
from services.formats.pascal_voc import reader as pascal_voc
from services.formats.pictograph import reader as pictograph
from services.formats.yolo import reader as yolo
from services.importing.image_folder import ImageFolder
from services.importing.splits import read_splits

__all__ = [
    "FORMATS",
    "ImportFailed",
    "ImportIssue",
    "ImportItem",
    "ImportSource",
    "read_dataset",
]

#: Source formats, by the name that `cartouche import` takes.
FORMATS: Mapping[str, Callable[[ImageFolder, Path], ImportSource]] = MappingProxyType(
    {
        "coco": coco.read,
        "pascal_voc": pascal_voc.read,
        "yolo": yolo.read,
        "pictograph": pictograph.read,
    }
)


def read_dataset(
    format_name: str,
    images: Path,
    annotations: Path,
    status: str | None = None,
    split_from: Path | None = None,
) -> ImportSource:
    """A dataset on disk.

    Args:
        format_name: a key of `FORMATS`.
        images: folder of the images; paths in the dataset are relative to it.
        annotations: file or folder, as the format has it.
        status: status of every image; None: what the source says, else `new`.
        split_from: folder or file that says which split an image belongs to; None: what the
            source says.

    Raises:
        ImportFailed: something that the import needs is missing or cannot be read.
    """
    if format_name not in FORMATS:
        raise ImportFailed(f"Format {format_name!r} is unknown; use {', '.join(FORMATS)}.")
    if status is not None and status not in IMAGE_STATUSES:
        raise ImportFailed(f"Status {status!r} is unknown; use {', '.join(IMAGE_STATUSES)}.")
    splits = read_splits(split_from) if split_from else None
    source = FORMATS[format_name](ImageFolder(images), annotations)
    if not source.paths:
        raise ImportFailed(
            f"None of the images below {images} is in {annotations}; give the folder that the "
            "annotations speak of."
        )
    assigned = splits.assign(source.paths) if splits else None

    def load(path: str) -> ImportItem:
        item = source.load(path)
        split = item.split if assigned is None else assigned.get(path)
        return replace(item, status=status or item.status or "new", split=split)

    issues = [*source.issues, *(splits.issues if splits else ())]
    return replace(source, load=load, issues=issues)
