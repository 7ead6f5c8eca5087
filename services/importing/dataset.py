"""Datasets on disk, by source format."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import splitext
from typing import Any, TypeAlias

from services.catalog.limits import excess
from services.catalog.model import IMAGE_STATUSES, SPLITS
from services.catalog.pictures.measure import BreaksOff, Picture, Unreadable, is_named_like
from services.formats.common.declared_size import FileSize, fitted
from services.formats.common.source import ImportFailed, ImportIssue, SourceDataset, SourceImage
from services.formats.common.split_names import SPLITS_BY_FOLDER, split_named
from services.formats.registry import FORMATS, IMPORTED_FORMATS
from services.importing.folders import annotations_at
from services.importing.hidden import look_around
from services.importing.image_folder import ImageFolder
from services.importing.placement import over_the_edge
from services.importing.splits import read_splits

#: What to do where a command has no API key.
NO_KEY = "give an API key with --api-key or CARTOUCHE_API_KEY"


class WrongUsage(ImportFailed):
    """What was asked for is nothing that an import can do."""


class NothingToImport(ImportFailed):
    """No image comes in; `issues` say why, where something does."""

    def __init__(self, message: str, issues: list[ImportIssue]) -> None:
        super().__init__(message)
        self.issues = issues


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
    #: The last issue says why the image cannot be sent.
    is_left_out: bool = False


#: A dataset on disk.
ImportSource: TypeAlias = SourceDataset[ImportItem]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a dataset is taken, beside what its source says."""

    #: Of every image; None: what the source says, else `new`.
    status: str | None = None
    #: Folder or file that says which split an image belongs to; None: what the source says.
    split_from: Path | None = None
    #: The split of every image.
    split: str | None = None
    #: A folder that all paths get in the dataset.
    prefix: str = ""
    #: Take an image whose file ends before the picture does.
    takes_broken: bool = False


def read_dataset(
    format_name: str, images: Path, annotations: Path, options: ImportOptions | None = None
) -> ImportSource:
    """A dataset on disk.

    Args:
        format_name: one of `IMPORTED_FORMATS`.
        images: folder of the images; paths in the dataset are relative to it.
        annotations: file or folder, as the format has it.
        options: what is taken otherwise than the source says.

    Raises:
        WrongUsage: an argument is nothing that an import knows, or a location is not there.
        NothingToImport: none of the images is one that the annotations speak of.
        ImportFailed: something that the import needs is missing or cannot be read.
    """
    options = _checked(options or ImportOptions())
    if format_name not in IMPORTED_FORMATS:
        raise WrongUsage(f"Format {format_name!r} is unknown; use {', '.join(IMPORTED_FORMATS)}.")
    check_locations(images, annotations)
    if options.split_from is not None and _is_nowhere(options.split_from):
        raise WrongUsage(f"{options.split_from} does not exist; give the lists of the splits.")
    splits = read_splits(options.split_from) if options.split_from else None
    around = look_around(images, annotations)
    try:
        folder = ImageFolder(images, around)
        source = FORMATS[format_name].reader(folder, annotations_at(annotations, around))
    except ImportFailed as error:
        # What could not be opened may be the cause.
        raise NothingToImport(error.message, around.issues) from None
    if not source.paths:
        raise NothingToImport(
            f"None of the images below {images} is in {annotations}; give the folder that the "
            "annotations speak of.",
            [*around.issues, *source.issues],
        )
    assigned = splits.assign(source.paths, folder.folder.place) if splits else None

    def split_of(image: SourceImage) -> str | None:
        if options.split:
            return options.split
        return image.split if assigned is None else assigned.get(image.path)

    issues = source.issues
    if splits or options.split:
        # Whoever says the splits need not hear what else might have.
        issues = [issue for issue in issues if issue.reason != SPLITS_BY_FOLDER]
    intake = _Intake(folder, options, split_of)
    start = len(options.prefix)
    return ImportSource(
        source.classes,
        [f"{options.prefix}{path}" for path in source.paths],
        lambda path: intake.item(source.load(path[start:])),
        [*around.issues, *issues, *(splits.issues if splits else ())],
    )


def check_locations(images: Path, annotations: Path) -> None:
    """Raises:
    WrongUsage: what is given as the folder of the images is none, or the annotations are not
        there.
    """
    if not images.is_dir():
        what = "is a ZIP archive; unpack it and" if _is_zip(images) else "is no folder;"
        raise WrongUsage(f"{images} {what} give the folder of the images.")
    if _is_nowhere(annotations):
        raise WrongUsage(f"{annotations} does not exist; give the annotations of the images.")


def _is_nowhere(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        # It is there, perhaps; whoever opens it says what is wrong.
        return False
    return False


def _is_zip(path: Path) -> bool:
    return path.is_file() and zipfile.is_zipfile(path)


def _checked(options: ImportOptions) -> ImportOptions:
    """The options with a split of ours, and a prefix that ends in a slash where there is one."""
    status, split = options.status, options.split
    if status is not None and status not in IMAGE_STATUSES:
        raise WrongUsage(f"Status {status!r} is unknown; use {', '.join(IMAGE_STATUSES)}.")
    if split is not None and split_named(split) is None:
        raise WrongUsage(f"Split {split!r} is unknown; use {', '.join(SPLITS)}.")
    if split and options.split_from:
        raise WrongUsage("Give --split or --split-from, not both.")
    prefix = options.prefix.strip("/")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise WrongUsage(f"Prefix {options.prefix!r} is no folder; give names between slashes.")
    return replace(
        options,
        split=split_named(split) if split else None,
        prefix=f"{prefix}/" if prefix else "",
    )


class _Intake:
    """Makes items of what a reader gives: looks at the files, and fits annotations to them."""

    def __init__(
        self,
        folder: ImageFolder,
        options: ImportOptions,
        split_of: Callable[[SourceImage], str | None],
    ) -> None:
        self._folder = folder
        self._options = options
        self._split_of = split_of

    def item(self, image: SourceImage) -> ImportItem:
        """An image as it is sent, or why it is not."""
        item = ImportItem(
            path=f"{self._options.prefix}{image.path}",
            file=self._folder.file(image.image),
            status=self._options.status or image.status or "new",
            split=self._split_of(image),
            issues=list(image.issues),
        )
        item.annotations.extend(_within_limits(item, image.annotations))
        try:
            picture = self._picture(item, image.image)
        except BreaksOff as error:
            return _left_out(item, "IMAGE_BREAKS_OFF", str(error))
        except Unreadable as error:
            return _left_out(item, "IMAGE_UNREADABLE", str(error))
        except OSError as error:
            return _left_out(item, "FILE_UNREADABLE", f"cannot be read ({error.strerror})")
        extension = splitext(image.image)[1].lower()
        if not is_named_like(picture.container, extension):
            message = f"is {picture.container} by its content; taken as it is"
            item.issues.append(ImportIssue(item.path, "EXTENSION_OTHER", message))
        annotations = item.annotations
        if image.declared is not None:
            size = FileSize(picture.width, picture.height, picture.orientation)
            annotations, difference = fitted(annotations, image.declared, size)
            if difference:
                item.issues.append(ImportIssue(item.path, "SIZE_DIFFERS", difference))
        if over := over_the_edge(annotations, picture.width, picture.height):
            item.issues.append(ImportIssue(item.path, "OVER_THE_EDGE", over))
        return replace(item, annotations=annotations)

    def _picture(self, item: ImportItem, image: str) -> Picture:
        try:
            return self._folder.picture(image, whole=True)
        except BreaksOff as error:
            if not self._options.takes_broken:
                raise
            picture = self._folder.picture(image)
            item.issues.append(ImportIssue(item.path, "IMAGE_BREAKS_OFF", f"{error}; taken"))
            return picture


def _within_limits(item: ImportItem, annotations: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The annotations that the server takes; the others become issues of the item."""
    for annotation in annotations:
        problem = excess(annotation)
        if problem is None:
            yield annotation
        else:
            name = f"{item.path}, annotation {annotation.get('id')}"
            message = f"{problem}; skipped"
            item.issues.append(ImportIssue(name, "ANNOTATION_TOO_LARGE", message, annotations=1))


def _left_out(item: ImportItem, reason: str, why: str) -> ImportItem:
    """An item that is not sent: in one line, with all its annotations."""
    count = len(item.annotations) + sum(issue.annotations for issue in item.issues)
    message = f"{why}; skipped" + (f" with {count} annotations" if count else "")
    issue = ImportIssue(item.path, reason, message, images=1, annotations=count)
    return replace(item, annotations=[], issues=[issue], is_left_out=True)
