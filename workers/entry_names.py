"""That no two entries of an archive share a name, shown in few bytes an entry.

Two names clash where a file system that ignores case and composition takes them for one, or
where one is a file and the other the folder of a file: unpacking would lose one of them.
"""

from array import array
from collections.abc import Iterable

import numpy as np

from services.catalog.names import folded, folders_of

#: Bytes of names that every step has room for.
_FEW = 1024 * 1024
#: Folders that are known not to be new.
_LATEST = 1024


def names_bytes(count: int) -> int:
    """Memory of the names of so many entries beyond what every step has for them."""
    return max(0, 8 * count - _FEW)


class EntryNames:
    """The names of an archive, of which 8 bytes each are kept, and as many of each folder.

    Equal hashes only raise a suspicion, which `clash` decides with the names at hand.
    """

    __slots__ = ("_files", "_folders", "_latest")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._files = array("q")
        self._folders = array("q")
        self._latest: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Takes the next name."""
        key = folded(name)
        self._files.append(hash(key))
        folder = key.rpartition("/")[0]
        # Neighbours in an archive mostly share their folders.
        if folder not in self._latest:
            if len(self._latest) == _LATEST:
                self._latest.clear()
            self._latest.add(folder)
            self._folders.extend(map(hash, folders_of(key)))

    def suspects(self) -> frozenset[int]:
        """Hashes that two names share, or a name and a folder; none: the names are unique."""
        if not self._files:
            return frozenset()
        files = np.frombuffer(self._files, np.int64)
        # In place: there may be millions.
        files.sort()
        twice = files[1:][files[1:] == files[:-1]]
        folders = np.frombuffer(self._folders, np.int64) if self._folders else files[:0]
        places = np.minimum(np.searchsorted(files, folders), len(files) - 1)
        both = folders[files[places] == folders]
        return frozenset([*twice.tolist(), *both.tolist()])


def clash(names: Iterable[str], suspects: frozenset[int]) -> tuple[str, str] | None:
    """Two of the names that clash, where `EntryNames.suspects` of the same names says so."""
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        key = folded(name)
        for folder in folders_of(key):
            if hash(folder) in suspects:
                folders.setdefault(folder, name)
        if hash(key) in suspects:
            if key in files:
                return files[key], name
            files[key] = name
    return next(((files[key], folders[key]) for key in files if key in folders), None)
