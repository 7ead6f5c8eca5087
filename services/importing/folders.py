"""Files and folders on disk, as readers of source formats see them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from services.formats.common.finder import Annotations, SourceFile


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file below a folder, or at a location seen from it."""

    _root: Path
    #: POSIX; relative to the folder unless it was asked for by an absolute location.
    where: str

    def __str__(self) -> str:
        return str(self._path)

    @property
    def _path(self) -> Path:
        # Made when it is needed: a Path for each file takes memory.
        return self._root / self.where

    @property
    def folder(self) -> "DiskFolder":
        """The folder that it lies in."""
        return DiskFolder(self._path.parent)

    @property
    def exists(self) -> bool:
        """Whether there is anything of that name."""
        return self._path.exists()

    def read(self) -> bytes:
        """Its content.

        Raises:
            OSError: it cannot be read.
        """
        return self._path.read_bytes()


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """A folder; relative locations are seen from it."""

    _path: Path

    def __str__(self) -> str:
        return str(self._path)

    @property
    def place(self) -> str:
        """Its absolute location without `.` and `..`; links are not followed."""
        return Path(os.path.abspath(self._path)).as_posix()

    @property
    def parent(self) -> "DiskFolder":
        """The folder above, also of a relative location such as `.`."""
        return DiskFolder(self._path.absolute().parent)

    def file(self, *parts: str) -> DiskFile | None:
        """The file at a location; None: there is none."""
        path = Path(*parts)
        return DiskFile(self._path, path.as_posix()) if (self._path / path).is_file() else None

    def subfolder(self, *parts: str) -> "DiskFolder | None":
        """The folder at a location; None: there is none."""
        path = self._path.joinpath(*parts)
        return DiskFolder(path) if path.is_dir() else None

    def resolve(self, *parts: str) -> str:
        """A location made absolute, links followed; nothing need be there."""
        return self._path.joinpath(*parts).resolve().as_posix()

    def files(self, suffix: str) -> list[SourceFile]:
        """Files in this folder whose names end in `suffix`, in order."""
        return self._files(self._path.glob(f"*{suffix}"))

    def files_below(self, suffix: str) -> list[SourceFile]:
        """Files in this folder and those below it whose names end in `suffix`, in order."""
        return self._files(self._path.rglob(f"*{suffix}"))

    def _files(self, paths: Iterable[Path]) -> list[SourceFile]:
        found = (path.relative_to(self._path).as_posix() for path in paths)
        # Folder by folder, which is not the order of the text.
        return [DiskFile(self._path, where) for where in sorted(found, key=_parts)]


def _parts(where: str) -> list[str]:
    return where.split("/")


def annotations_at(path: Path) -> Annotations:
    """What is given as annotations: a folder, or anything else as a file, also a missing one."""
    if path.is_dir():
        return Annotations(DiskFolder(path))
    return Annotations(DiskFolder(path.parent), DiskFile(path.parent, path.name))
