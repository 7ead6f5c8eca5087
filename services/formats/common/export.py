"""What is exported: the export's parameters, and one image of its snapshot."""

from dataclasses import dataclass
from typing import Any

import orjson

from services.catalog.model import DatasetClass
from services.catalog.names import split_extension
from services.formats.common.keypoints import joints_of, skeletons

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
        return split_extension(self.name)[0]

    @property
    def split_folder(self) -> str:
        """The folder of its split; images without a split are for training."""
        return SPLIT_FOLDERS[self.split or "train"]

    def folder(self, info: ExportInfo) -> str:
        """The top folder of the image, where the export has one for each split."""
        return self.split_folder if info.organize_by_split else ""

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
