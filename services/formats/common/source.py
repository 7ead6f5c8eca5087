"""What every reader of a source format gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from services.catalog.model import DatasetClass
from services.errors import CartoucheError

Item = TypeVar("Item")


class ImportFailed(CartoucheError):
    """Nothing can be imported; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("IMPORT_FAILED", message)


@dataclass(frozen=True, slots=True)
class ImportIssue:
    """Something that was left out or repaired."""

    #: Image, file and line, or annotation.
    item: str
    #: UPPER_SNAKE word, with one meaning over all readers.
    reason: str
    #: What is wrong, and what became of it.
    message: str
    #: How many images and annotations are left out with it; none of a repair or a note.
    images: int = 0
    annotations: int = 0
    #: How many annotations come in with less of their shape than the source says: without a ring,
    #: or with their box alone.
    changed: int = 0


class Skipped(Exception):
    """Why an object of an image is left out."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def issue(self, item: str) -> ImportIssue:
        """Names the object, the one annotation that is left out."""
        return ImportIssue(item, self.reason, f"{self}; skipped", annotations=1)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image with its annotations."""

    #: Folder and file name in the dataset, POSIX, relative.
    path: str
    #: One of the paths of the image finder.
    image: str
    status: str | None = None
    split: str | None = None
    #: In the Pictograph wire form.
    annotations: list[dict[str, Any]] = field(default_factory=list)
    issues: list[ImportIssue] = field(default_factory=list)
    #: Width and height that the annotations speak of, where the source says them.
    declared: tuple[int, int] | None = None


@dataclass(frozen=True)
class SourceDataset(Generic[Item]):
    """A dataset to import. Items, one for each image, are read one by one, so that memory
    stays flat."""

    #: In the order of the source.
    classes: list[DatasetClass]
    #: Of every image that will come, in order.
    paths: list[str]
    #: Reads the image of one of the paths.
    load: Callable[[str], Item]
    #: What was skipped or repaired outside of any image that comes.
    issues: list[ImportIssue]

    def items(self) -> Iterator[Item]:
        """Every image, in order."""
        return map(self.load, self.paths)
