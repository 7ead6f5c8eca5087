"""What is exported: the export's parameters, and one image of its snapshot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import orjson

from services.catalog.model import DatasetClass
from services.catalog.names import split_extension
from services.formats.common.keypoints import Skeletons, joints_of, skeletons

Made = TypeVar("Made")

#: The top folder of an archive for each split, where an export asks for them.
SPLIT_FOLDERS = {"train": "train/", "val": "valid/", "test": "test/"}


@dataclass(frozen=True)
class ExportInfo:
    """What is the same for every image of an export. Nothing here names the export
    itself or the time: the same snapshot and parameters give the same bytes.

    What follows from it is made once (`once`), not for every image: there may be thousands
    of classes.
    """

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
    #: Of the worker that froze the snapshot; it stands in the archive.
    cartouche_version: str = ""

    @cached_property
    def selected_names(self) -> frozenset[str]:
        """The names of the classes that the archive has."""
        return frozenset(self.class_filter or (c.name for c in self.classes))

    @cached_property
    def selected_classes(self) -> tuple[DatasetClass, ...]:
        """The classes that the archive has, in the dataset's class order."""
        return tuple(c for c in self.classes if c.name in self.selected_names)

    @cached_property
    def class_ids(self) -> Mapping[str, int]:
        """The place of each class of the archive, from 0."""
        return {c.name: number for number, c in enumerate(self.selected_classes)}

    @cached_property
    def templates(self) -> Skeletons:
        """The skeletons of all classes: a joint belongs to the best fit among all of them."""
        return skeletons(self.classes)

    @cached_property
    def selected_templates(self) -> Skeletons:
        """The skeletons of the classes that the archive has."""
        return skeletons(self.selected_classes)

    def once(self, make: "Callable[[ExportInfo], Made]") -> Made:
        """What the function makes of the export, made at the first call."""
        found = self._made.get(make)
        if found is None:
            found = self._made[make] = make(self)
        made: Made = found
        return made

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    @property
    def folders(self) -> tuple[str, ...]:
        """The top folders of the archive, each with its slash; one empty name without splits."""
        return tuple(SPLIT_FOLDERS.values()) if self.organize_by_split else ("",)


# Not frozen: two are made for each image, and that would take twice the time.
@dataclass(slots=True)
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
        wanted = info.selected_names
        joints = joints_of(numbered, info.templates, wanted)
        return [
            (number, annotation)
            for number, annotation in numbered
            if annotation["name"] in wanted or number in joints
        ]
