"""What lies below a folder of a real machine: files, links that are followed, and what is not
looked at."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import splitext
from typing import IO

from services.catalog.names import IMAGE_EXTENSIONS
from services.formats.common.source import ImportIssue

#: Names of files and folders that systems and tools keep for themselves, in lower case; those
#: that begin with a dot come on top.
_SYSTEM = frozenset((
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
    "@recycle", "@tmp", "$recycle.bin", "system volume information", "lost+found",
))  # fmt: skip
#: Suffixes of files with annotations.
_ANNOTATIONS = frozenset((".json", ".txt", ".xml"))
#: Levels of folders. Links may make more of them than anybody does.
_DEEPEST = 64
#: Folders that are entered at most, once again for each link to one.
_MOST_FOLDERS = 1_000_000
_FEW = 5
#: Where systems show devices and themselves as files, which may wait for ever or end anything;
#: but for the folder of shared memory, whose files are anybody's.
_OF_SYSTEMS = ("/proc/", "/sys/", "/dev/")
_SHARED_MEMORY = "/dev/shm/"  # noqa: S108
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass
class Surroundings:
    """What was passed over while folders were walked, each place once."""

    #: Stems of hidden files that are meant: an image and an annotation file share each.
    paired: frozenset[str] = frozenset()
    #: Names of hidden files and folders that a list names.
    named: frozenset[str] = frozenset()
    #: Places of hidden and system files and folders, and the stems of those files among them
    #: that a person may have named so.
    hidden: set[str] = field(default_factory=set)
    hidden_stems: set[str] = field(default_factory=set)
    _issues: dict[str, ImportIssue] = field(default_factory=dict)

    def add(self, place: str, issue: ImportIssue) -> None:
        """Names what is at an absolute place."""
        self._issues.setdefault(place, issue)

    @property
    def issues(self) -> list[ImportIssue]:
        """All of it; what is hidden is one of them."""
        found = [self._issues[place] for place in sorted(self._issues)]
        if self.hidden:
            names = Counter(place.rpartition("/")[2] for place in sorted(self.hidden))
            few = ", ".join(name for name, _ in names.most_common(_FEW))
            more = ", …" if len(names) > _FEW else ""
            message = f"{len(self.hidden)} hidden or system files and folders: {few}{more}"
            found.append(ImportIssue("left out", "HIDDEN_LEFT_OUT", message))
        return found


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is a system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM


def why_not_a_file(mode: int) -> str | None:
    """What something is that must not be opened as a file; None: it is a file."""
    if stat.S_ISREG(mode):
        return None
    return next((words for test, words in _KINDS if test(mode)), "no file")


def regular(path: Path) -> os.stat_result:
    """What the system knows of a file.

    Raises:
        OSError: there is none, or it is no file that ends, such as a pipe, a device, or what
            systems show below `/proc`.
    """
    found = path.stat()
    if words := why_not_a_file(found.st_mode):
        raise OSError(0, f"it is {words}")
    # The file itself, whatever links lead there.
    place = os.path.realpath(path)
    if place.startswith(_OF_SYSTEMS) and not place.startswith(_SHARED_MEMORY):
        raise OSError(0, "it is a file of the system itself")
    return found


def opened(path: Path, buffering: int = -1) -> IO[bytes]:
    """A file that ends, opened without waiting for anybody.

    Args:
        path: the file.
        buffering: bytes, as `open` takes it.

    Raises:
        OSError: as `regular` raises it, also where the file was another a moment ago.
    """
    regular(path)
    return open(path, "rb", buffering, opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    found = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if words := why_not_a_file(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(0, f"it is {words}")
    return found


def files_below(root: Path, suffixes: frozenset[str] | None, around: Surroundings) -> Iterator[str]:
    """Every file below a folder whose suffix, in lower case, is one of these; its path is
    relative, by the names that lead there. Links are followed, but not round.

    Args:
        root: the folder, which may itself be hidden.
        suffixes: with their dots; None: all, and those without.
        around: is told what is passed over.
    """
    place = os.path.abspath(root)
    chain = (_identity(os.stat(root)),)
    left = [_MOST_FOLDERS]
    yield from _below(str(root), place, "", chain, suffixes, around, left)


def _below(
    folder: str,
    place: str,
    prefix: str,
    chain: tuple[tuple[int, int], ...],
    suffixes: frozenset[str] | None,
    around: Surroundings,
    left: list[int],
) -> Iterator[str]:
    left[0] -= 1
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        around.add(place, _unreadable(prefix.rstrip("/") or place, error))
        return
    for entry in entries:
        at = f"{place}/{entry.name}"
        where = prefix + entry.name
        wanted = suffixes is None or splitext(entry.name)[1].lower() in suffixes
        if is_hidden(entry.name):
            stems = _stems(entry.name)
            is_paired = stems & around.paired and (wanted or _is_meant(entry.name))
            if not is_paired and entry.name not in around.named:
                around.hidden.add(at)
                around.hidden_stems |= stems if wanted else frozenset()
                continue
        try:
            if entry.is_dir():
                identity = _identity(entry.stat())
                if identity in chain:
                    around.add(at, _loop(where))
                elif len(chain) == _DEEPEST or left[0] == 0:
                    around.add(at, _too_deep(where))
                else:
                    yield from _below(
                        entry.path, at, f"{where}/", (*chain, identity), suffixes, around, left
                    )
            elif entry.is_file():
                if wanted:
                    yield where
            elif wanted:
                words = why_not_a_file(entry.stat().st_mode)
                around.add(at, _left_out(where, f"is {words}; skipped"))
        except OSError as error:
            if wanted:
                around.add(at, _unreadable(where, error))


def _is_meant(name: str) -> bool:
    """Whether a file is one of a pair that others look for: an image or an annotation file."""
    return splitext(name)[1].lower() in IMAGE_EXTENSIONS | _ANNOTATIONS


def _stems(name: str) -> frozenset[str]:
    """What an annotation file and its image share, as in `.a.jpg`, `.a.xml` and `.a.jpg.json`;
    nothing of a name that only systems give."""
    if not name.startswith(".") or name.startswith("._"):
        return frozenset()
    stem = splitext(name)[0]
    return frozenset((stem, splitext(stem)[0]))


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _left_out(where: str, message: str) -> ImportIssue:
    """One image or one annotation at least, as nobody knows what is in it."""
    is_image = splitext(where)[1].lower() not in _ANNOTATIONS
    return ImportIssue(where, "FILE_UNREADABLE", message, int(is_image), int(not is_image))


def _unreadable(where: str, error: OSError) -> ImportIssue:
    if isinstance(error, FileNotFoundError):
        return _left_out(where, "is a link to something that is not there; skipped")
    return _left_out(where, f"cannot be opened ({error.strerror}); skipped")


def _loop(where: str) -> ImportIssue:
    return ImportIssue(where, "LINK_LOOP", "is a link to a folder that it lies in; not followed")


def _too_deep(where: str) -> ImportIssue:
    return _left_out(where, f"lies more than {_DEEPEST} folders deep; what is in it is skipped")
