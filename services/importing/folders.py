"""Files and folders on disk, as readers of source formats see them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import splitext

from services.formats.common.finder import Annotations, SourceFile
from services.importing.walk import Surroundings, files_below, is_hidden, opened


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file below a folder, or at a location seen from it."""

    _root: Path
    #: POSIX; relative to the folder unless it was asked for by an absolute location.
    where: str
    _around: Surroundings = field(default_factory=Surroundings, compare=False)

    def __str__(self) -> str:
        return str(self._path)

    @property
    def _path(self) -> Path:
        # Made when it is needed: a Path for each file takes memory.
        return self._root / self.where

    @property
    def folder(self) -> "DiskFolder":
        """The folder that it lies in."""
        return DiskFolder(self._path.parent, self._around)

    @property
    def exists(self) -> bool:
        """Whether there is anything of that name."""
        return os.path.exists(self._path)

    def read(self) -> bytes:
        """Its content.

        Raises:
            OSError: it cannot be read, or is a pipe or a device.
        """
        with opened(self._path) as file:
            return file.read()


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """A folder; relative locations are seen from it."""

    _path: Path
    #: Is told what is passed over.
    around: Surroundings = field(default_factory=Surroundings, compare=False)

    def __str__(self) -> str:
        return str(self._path)

    @property
    def place(self) -> str:
        """Its absolute location without `.` and `..`; links are not followed."""
        return Path(os.path.abspath(self._path)).as_posix()

    @property
    def parent(self) -> "DiskFolder":
        """The folder above, also of a relative location such as `.`."""
        return DiskFolder(self._path.absolute().parent, self.around)

    def file(self, *parts: str) -> DiskFile | None:
        """The file at a location; None: there is none."""
        path = Path(*parts)
        # What may not be looked at is no file either.
        if not os.path.isfile(self._path / path):
            return None
        return DiskFile(self._path, path.as_posix(), self.around)

    def subfolder(self, *parts: str) -> "DiskFolder | None":
        """The folder at a location; None: there is none."""
        path = self._path.joinpath(*parts)
        return DiskFolder(path, self.around) if os.path.isdir(path) else None

    def resolve(self, *parts: str) -> str:
        """A location made absolute, links followed; nothing need be there."""
        return self._path.joinpath(*parts).resolve().as_posix()

    def files(self, suffix: str) -> list[SourceFile]:
        """Files in this folder with the suffix, in any case, in order."""
        try:
            with os.scandir(self._path) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if splitext(entry.name)[1].lower() == suffix
                    and entry.is_file()
                    and not is_hidden(entry.name)
                ]
        except OSError:
            # Whoever walks below it names it.
            return []
        return self._files(names)

    def files_below(self, suffix: str) -> list[SourceFile]:
        """Files in this folder and those below it with the suffix, in any case, in order."""
        return self._files(files_below(self._path, frozenset((suffix,)), self.around))

    def _files(self, found: Iterable[str]) -> list[SourceFile]:
        # Folder by folder, which is not the order of the text.
        return [DiskFile(self._path, where, self.around) for where in sorted(found, key=_parts)]


def _parts(where: str) -> list[str]:
    return where.split("/")


def annotations_at(path: Path, around: Surroundings | None = None) -> Annotations:
    """What is given as annotations: a folder, or anything else as a file, also a missing one.

    Args:
        path: the location.
        around: is told what is passed over.
    """
    around = around or Surroundings()
    if path.is_dir():
        return Annotations(DiskFolder(path, around))
    return Annotations(DiskFolder(path.parent, around), DiskFile(path.parent, path.name, around))
