"""What readers of source formats see of the place that a dataset lies in.

They walk no disk and open no file: whoever imports hands them these. Locations are POSIX
text. A file or folder as text (`str`) is its location as messages name it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from services.formats.common.source import ImportIssue, SourceDataset, SourceImage


class SourceFile(Protocol):
    """A file that a reader may open."""

    @property
    def where(self) -> str:
        """Its location, relative to the folder that found it."""

    @property
    def folder(self) -> "SourceFolder":
        """The folder that it lies in."""

    @property
    def exists(self) -> bool:
        """Whether there is anything of that name."""

    def read(self) -> bytes:
        """Its content.

        Raises:
            OSError: it cannot be read.
        """


class SourceFolder(Protocol):
    """A folder that a reader may look into, and look around from."""

    @property
    def place(self) -> str:
        """Its absolute location without `.` and `..`; links are not followed."""

    @property
    def parent(self) -> "SourceFolder":
        """The folder above."""

    def file(self, *parts: str) -> SourceFile | None:
        """The file at a location, relative to this folder or absolute, in parts to be joined.

        None: there is no such file.
        """

    def subfolder(self, *parts: str) -> "SourceFolder | None":
        """The folder at such a location; None: there is no such folder."""

    def resolve(self, *parts: str) -> str:
        """Such a location made absolute, links followed; nothing need be there."""

    def files(self, suffix: str) -> list[SourceFile]:
        """Files in this folder with the suffix, such as `.txt`, in any case, in order; hidden
        and system files are none."""

    def files_below(self, suffix: str) -> list[SourceFile]:
        """Files in this folder and those below it with the suffix, in order. Links are
        followed; hidden and system folders are not entered."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """What an import is given as annotations: a folder, or one file."""

    #: Itself, or the folder of the file.
    folder: SourceFolder
    #: May be missing; None: a folder was given.
    file: SourceFile | None = None

    def __str__(self) -> str:
        return str(self.file or self.folder)


class ImageFinder(Protocol):
    """All images of a dataset, found by the names that annotation files give them."""

    @property
    def folder(self) -> SourceFolder:
        """What they are below."""

    @property
    def paths(self) -> list[str]:
        """Every image, relative to the folder, in order."""

    @property
    def issues(self) -> list[ImportIssue]:
        """What is wrong with names."""

    def __contains__(self, path: str) -> bool:
        """Whether it is one of `paths`."""

    def find(
        self,
        name: str,
        beside: SourceFolder | None = None,
        among: Callable[[str], bool] | None = None,
    ) -> str | None:
        """The path of the image that an annotation file calls `name`, with extension, as
        `NameFinder` finds it.

        Args:
            name: as it is written, perhaps on another machine.
            beside: the folder of the file that it is written in, where names may be seen
                from there, and what is nearer to it is meant.
            among: whether a path is one of those that may be meant, where several fit.

        None: it fits no image, or several.
        """

    def find_stem(
        self,
        stem: str,
        beside: SourceFolder | None = None,
        among: Callable[[str], bool] | None = None,
    ) -> str | None:
        """The same for an image that is called without its extension."""

    def missing(
        self, item: str, names: Sequence[str], annotations: int, noun: str = "annotations"
    ) -> ImportIssue:
        """Says why there is no one image for something that speaks of one.

        `IMAGE_AMBIGUOUS`: its names fit several; `IMAGE_LISTED_TWICE`: the image is another's;
        `FORMAT_NOT_READ`, `FILE_UNREADABLE`, `HIDDEN_LEFT_OUT`: it is there, but passed over;
        `IMAGE_FILE_MISSING`: they fit none, and the image is left out too.

        Args:
            item: what speaks of the image.
            names: what it calls it, with an extension or without.
            annotations: how many are left out with it.
            noun: what these are.
        """

    def resolve(self, path: str) -> str:
        """The absolute location of one of `paths`, links followed."""

    def size(self, path: str) -> tuple[int, int] | None:
        """Width and height of one of `paths` as displayed (EXIF orientation applied).

        None: the file is no image that can be read.
        """


#: Reads the dataset that some images and annotations are.
Reader: TypeAlias = Callable[[ImageFinder, Annotations], SourceDataset[SourceImage]]
