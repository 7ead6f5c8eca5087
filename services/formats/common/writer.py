"""What an export format is: pure functions from images to files and rows of documents.

A format writes two kinds of text. *Per-image files* are complete by themselves.
*Documents* cover the whole dataset (a COCO JSON): they are written as a frame of
fixed pieces around lists of rows, and every image contributes its rows, so that a
document of any length is built in parts, by many workers, and never exists in
memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import RENAMED, UNANNOTATED


@dataclass(frozen=True, slots=True)
class Document:
    """A dataset-wide file: `frame[0]`, the rows of `sections[0]` joined by `separator`,
    `frame[1]`, the rows of `sections[1]`, … and the last piece of the frame."""

    path: str
    sections: tuple[str, ...]
    frame: tuple[bytes, ...]
    separator: bytes = b",\n"
    #: Makes the last piece of the frame where it needs to know how many images each split
    #: has (those without a split are for training), and reports what is lost there.
    ending: Callable[[Mapping[str, int]], tuple[bytes, LossReport]] | None = None

    def __post_init__(self) -> None:
        if len(self.frame) != len(self.sections) + 1:
            raise ValueError("a frame has one piece more than there are sections")

    def ended(self, split_counts: Mapping[str, int], losses: LossReport) -> "Document":
        """The document with its last piece made; adds what that loses to `losses`."""
        if self.ending is None:
            return self
        text, lost = self.ending(split_counts)
        losses.merge(lost)
        return replace(self, frame=(*self.frame[:-1], text), ending=None)


@dataclass(slots=True)
class Rendered:
    """What one image contributes to an archive."""

    #: Per-image files: path in the archive and content.
    files: list[tuple[str, bytes]] = field(default_factory=list)
    #: Rows of documents, by document path and section.
    rows: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    #: Annotations that the format really wrote.
    annotation_count: int = 0
    losses: LossReport = field(default_factory=LossReport)

    @classmethod
    def start(cls, image: ExportImage, selected_count: int) -> "Rendered":
        """Nothing rendered yet, with the losses that do not depend on the format."""
        rendered = cls()
        if image.name != image.path:
            rendered.losses.add(RENAMED, image.id)
        if not selected_count:
            rendered.losses.add(UNANNOTATED, image.id)
        return rendered


@dataclass(frozen=True, slots=True)
class Tally:
    """What a file of an archive holds."""

    image_count: int = 0
    annotation_count: int = 0


class Writer(Protocol):
    """What makes the text of archives in one format."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """Where the image file lies in the archive (also when images are left out)."""
        ...

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """Where the per-image files lie that `render` makes; known without rendering."""
        ...

    def layout(self, info: ExportInfo) -> str:
        """A few lines for the archive's README: what lies where, and how to read it."""
        ...

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """The dataset-wide files of the archive; the same for every image."""
        ...

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The text of one image."""
        ...

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """Reads a text file of a finished archive as its users will, and counts.

        `path` is any file that `documents` or `render` made; `lines` are its lines, without
        their ends, and memory stays flat. The tallies of all files add up to the images and
        annotations of the archive, so a file that repeats others tallies nothing.

        Raises:
            ValueError: the file does not parse, or an id or a coordinate is out of range.
        """
        ...
