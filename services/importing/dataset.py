"""Datasets on disk, by source format."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from services.catalog.model import IMAGE_STATUSES, SPLITS
from services.formats.common.source import ImportFailed, ImportIssue, SourceDataset
from services.formats.common.split_names import split_named
from services.formats.registry import FORMATS, IMPORTED_FORMATS
from services.importing.folders import annotations_at
from services.importing.image_folder import ImageFolder
from services.importing.splits import read_splits
from services.importing.walk import Surroundings


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One image file with its annotations."""

    #: Folder and file name in the dataset, POSIX, relative.
    path: str
    file: Path
    status: str | None = None
    split: str | None = None
    #: In the Pictograph wire form.
    annotations: list[dict[str, Any]] = field(default_factory=list)
    issues: list[ImportIssue] = field(default_factory=list)


#: A dataset on disk.
ImportSource: TypeAlias = SourceDataset[ImportItem]


def read_dataset(
    format_name: str,
    images: Path,
    annotations: Path,
    status: str | None = None,
    split_from: Path | None = None,
    split: str | None = None,
) -> ImportSource:
    """A dataset on disk.

    Args:
        format_name: one of `IMPORTED_FORMATS`.
        images: folder of the images; paths in the dataset are relative to it.
        annotations: file or folder, as the format has it.
        status: status of every image; None: what the source says, else `new`.
        split_from: folder or file that says which split an image belongs to; None: what the
            source says.
        split: split of every image; None: what `split_from` or the source says.

    Raises:
        ImportFailed: something that the import needs is missing or cannot be read.
    """
    if format_name not in IMPORTED_FORMATS:
        raise ImportFailed(f"Format {format_name!r} is unknown; use {', '.join(IMPORTED_FORMATS)}.")
    if status is not None and status not in IMAGE_STATUSES:
        raise ImportFailed(f"Status {status!r} is unknown; use {', '.join(IMAGE_STATUSES)}.")
    if split is not None:
        if split_from is not None:
            raise ImportFailed("Give one split for all images, or what says it of each; not both.")
        if split_named(split) is None:
            raise ImportFailed(f"The split of all images must be one of {', '.join(SPLITS)}.")
    one_split = split_named(split or "")
    splits = read_splits(split_from) if split_from else None
    around = Surroundings()
    folder = ImageFolder(images, around)
    source = FORMATS[format_name].reader(folder, annotations_at(annotations, around))
    if not source.paths:
        raise ImportFailed(
            f"None of the images below {images} is in {annotations}; give the folder that the "
            "annotations speak of."
        )
    assigned = splits.assign(source.paths, folder.folder.place) if splits else None

    def load(path: str) -> ImportItem:
        image = source.load(path)
        return ImportItem(
            path=image.path,
            file=folder.file(image.image),
            status=status or image.status or "new",
            split=one_split or (image.split if assigned is None else assigned.get(path)),
            annotations=image.annotations,
            issues=image.issues,
        )

    issues = [*around.issues, *source.issues, *(splits.issues if splits else ())]
    return ImportSource(source.classes, source.paths, load, issues)
