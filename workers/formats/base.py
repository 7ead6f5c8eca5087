"""What an export format is: pure functions from images to files and rows of documents.

A format writes two kinds of text. *Per-image files* are complete by themselves.
*Documents* cover the whole dataset (a COCO JSON): they are written as a frame of
fixed pieces around lists of rows, and every image contributes its rows, so that a
document of any length is built in parts, by many workers, and never exists in
memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from posixpath import splitext
from typing import Any, ClassVar, Protocol

import orjson

from services.catalog.model import DatasetClass
from workers.formats.keypoints import joints_of, skeletons

FIRST_IDS = 100

#: The top folder of an archive for each split, where an export asks for them.
SPLIT_FOLDERS = {"train": "train/", "val": "valid/", "test": "test/"}


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """What is the same for every image of an export. Nothing here names the export
    itself or the time: the same snapshot and parameters give the same bytes."""

    organization_id: str
    dataset_id: str
    dataset_name: str
    format: str
    classes: tuple[DatasetClass, ...]
    include_images: bool = False
    class_filter: tuple[str, ...] = ()
    status_filter: str = ""
    include_unannotated: bool = False
    organize_by_split: bool = False

    @property
    def selected_classes(self) -> tuple[DatasetClass, ...]:
        """The classes that the archive has, in the dataset's class order."""
        if not self.class_filter:
            return self.classes
        return tuple(c for c in self.classes if c.name in self.class_filter)

    @property
    def folders(self) -> tuple[str, ...]:
        """The top folders of the archive, each with its slash; one empty name without splits."""
        return tuple(SPLIT_FOLDERS.values()) if self.organize_by_split else ("",)


@dataclass(frozen=True, slots=True)
class ExportImage:
    """One image of a snapshot."""

    id: str
    #: Position in the dataset's order of import, from 1; never changes.
    number: int
    #: Number of its first annotation; the others follow. Unique in the dataset.
    first_annotation_number: int
    #: Folder and file name in the dataset.
    path: str
    #: The same made safe and unique for an archive, by `services.catalog.names`.
    name: str
    status: str
    split: str | None
    #: Pixels, as displayed (EXIF orientation applied).
    width: int
    height: int
    #: Bytes of the image file.
    size: int
    sha256: str
    #: Every annotation of the image: a JSON array in the Pictograph wire form, UTF-8.
    annotations: bytes
    #: How many they are; without it they are counted.
    annotation_count: int | None = None

    @property
    def stem(self) -> str:
        """The name without its extension; unique in the dataset too."""
        return splitext(self.name)[0]

    def folder(self, info: ExportInfo) -> str:
        """The top folder of the image; images without a split are for training."""
        return SPLIT_FOLDERS[self.split or "train"] if info.organize_by_split else ""

    def selected(self, info: ExportInfo) -> list[tuple[int, dict[str, Any]]]:
        """The annotations that the export takes, each with its number in the dataset.

        A class with a skeleton takes the joints of its poses along: they are named for
        the joints, and the class would be empty without them.
        """
        numbered = list(enumerate(orjson.loads(self.annotations), self.first_annotation_number))
        if not info.class_filter:
            return numbered
        wanted = frozenset(info.class_filter)
        joints = joints_of(numbered, skeletons(info.classes), wanted)
        return [
            (number, annotation)
            for number, annotation in numbered
            if annotation["name"] in wanted or number in joints
        ]


@dataclass(slots=True)
class Loss:
    """One kind of loss: how often, and the first ids it met."""

    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, item_id: str) -> None:
        self.count += 1
        if len(self.ids) < FIRST_IDS:
            self.ids.append(item_id)


@dataclass(slots=True)
class LossReport:
    """What a format could not hold: per kind (clamped, degraded, dropped, renamed,
    unannotated) and reason, the number of items and the first hundred ids."""

    losses: dict[str, dict[str, Loss]] = field(default_factory=dict)

    def add(self, kind: str, reason: str, item_id: str) -> None:
        """Counts one item; `reason` is a short sentence that a person reads."""
        self.losses.setdefault(kind, {}).setdefault(reason, Loss()).add(item_id)

    def merge(self, other: "LossReport") -> None:
        """Adds what `other` counted, which comes later in the export's order."""
        for kind, reasons in other.losses.items():
            for reason, loss in reasons.items():
                mine = self.losses.setdefault(kind, {}).setdefault(reason, Loss())
                mine.count += loss.count
                mine.ids.extend(loss.ids[: FIRST_IDS - len(mine.ids)])

    def total(self, kind: str) -> int:
        """How many items a kind of loss met, over all reasons."""
        return sum(loss.count for loss in self.losses.get(kind, {}).values())

    def to_json(self) -> dict[str, Any]:
        return {
            kind: [
                {"reason": reason, "count": loss.count, "ids": loss.ids}
                for reason, loss in sorted(reasons.items())
            ]
            for kind, reasons in sorted(self.losses.items())
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LossReport":
        """The inverse of `to_json`."""
        return cls(
            {
                kind: {row["reason"]: Loss(row["count"], list(row["ids"])) for row in rows}
                for kind, rows in value.items()
            }
        )


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
            rendered.losses.add("renamed", "the name is not safe or not unique", image.id)
        if not selected_count:
            rendered.losses.add("unannotated", "the image has no annotations", image.id)
        return rendered


@dataclass(frozen=True, slots=True)
class Tally:
    """What a file of an archive holds."""

    image_count: int = 0
    annotation_count: int = 0


class Format(Protocol):
    """One export format."""

    name: ClassVar[str]
    #: Version of the layout; it stands in the manifest and changes with the layout.
    layout_version: ClassVar[int]
    #: Id of the first class in the archive's files; the others follow in class order.
    first_class_id: ClassVar[int]

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """Where the image file lies in the archive (also when images are left out)."""
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
