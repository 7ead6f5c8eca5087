"""The images of a dataset on disk."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from posixpath import dirname, splitext

from services.catalog.names import IMAGE_EXTENSIONS
from services.catalog.pictures.measure import (
    MAX_BYTES,
    Picture,
    Unreadable,
    check_whole,
    measure,
)
from services.formats.common.finder import SourceFolder
from services.formats.common.name_finder import NameFinder
from services.formats.common.source import ImportFailed, ImportIssue
from services.importing.folders import DiskFolder
from services.importing.walk import Surroundings, files_below, opened, regular

#: Extensions of pictures that are not read: named for that, where other files are passed over.
_NOT_READ = frozenset((
    ".apng", ".arw", ".avif", ".avifs", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".emf",
    ".eps", ".exr", ".hdr", ".hif", ".ico", ".j2c", ".j2k", ".jif", ".jp2", ".jpc", ".jpeg2000",
    ".jpf", ".jpm", ".jps", ".jpx", ".jxl", ".jxr", ".mpo", ".nef", ".orf", ".pbm", ".pcx", ".pfm",
    ".pgm", ".pic", ".pnm", ".ppm", ".psd", ".pxm", ".raf", ".ras", ".raw", ".rw2", ".sgi", ".sr",
    ".svg", ".tga", ".wmf", ".xbm", ".xcf",
))  # fmt: skip
#: Those of files that lie beside images, and may have the name of one.
_TEXTS = frozenset((
    ".cache", ".csv", ".htm", ".html", ".json", ".log", ".md", ".npy", ".npz", ".tsv", ".txt",
    ".xml", ".yaml", ".yml",
))  # fmt: skip
#: Bytes read at once while the parts of a picture are walked over.
_BUFFER = 256 * 1024
#: Paths that a message lists.
_FEW = 3
#: Missing images whose nearest name is looked for: each takes a millisecond.
_NEAREST = 100


class ImageFolder:
    """All image files below a folder, found by path, by name or by stem."""

    def __init__(self, root: Path, around: Surroundings | None = None) -> None:
        """Args:
            root: the folder.
            around: is told what is passed over.

        Raises:
            ImportFailed: there is no such folder, or no image in it.
        """
        if not root.is_dir():
            raise ImportFailed(f"{root} is no folder; give the folder of the images.")
        self._root = root
        around = around or Surroundings()
        self.folder = DiskFolder(root, around)
        self.issues: list[ImportIssue] = []
        # Only of names that are not UTF-8: a Path for each image takes memory.
        self._odd_files: dict[str, Path] = {}
        #: In order.
        self.paths: list[str] = []
        others: list[str] = []
        for where in files_below(root, IMAGE_EXTENSIONS | _NOT_READ, around):
            is_read = splitext(where)[1].lower() in IMAGE_EXTENSIONS
            (self.paths if is_read else others).append(self._path(where))
        self.paths.sort()
        self._around = around
        #: Why images that are there are none of `paths`, by path.
        self._passed_over = {
            **{issue.item: issue for issue in around.issues if issue.images},
            **{
                path: ImportIssue(path, "FORMAT_NOT_READ", f"is {_not_read(path)}; skipped", 1)
                for path in sorted(others)
            },
        }
        self.issues += [self._passed_over[path] for path in others]
        if not self.paths:
            known = " ".join(sorted(extension[1:] for extension in IMAGE_EXTENSIONS))
            first = next(iter(self._passed_over.values()), None)
            other = f" {first.item} {first.message}." if first else ""
            raise ImportFailed(
                f"{root} holds no image ({known}); give the folder of the images.{other}"
            )
        self._known = frozenset(self.paths)
        place = self.folder.place
        self._by_name = NameFinder(self.paths, place)
        self._by_stem = NameFinder(self.paths, place, _stem)
        self._looked_for = 0
        passed_over = sorted(self._passed_over)
        self._others = NameFinder(passed_over, place)
        self._others_by_stem = NameFinder(passed_over, place, _stem)

    def _path(self, where: str) -> str:
        try:
            where.encode()
        except UnicodeEncodeError:
            path = os.fsencode(where).decode(errors="backslashreplace")
            self._odd_files[path] = self._root / where
            self.issues.append(
                ImportIssue(
                    path,
                    "NAME_NOT_UTF8",
                    "the file name is not UTF-8; its other bytes were written as \\x..",
                )
            )
            return path
        return where

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def file(self, path: str) -> Path:
        """The file of one of `paths`."""
        return self._odd_files.get(path) or self._root / path

    def find(
        self,
        name: str,
        beside: SourceFolder | None = None,
        among: Callable[[str], bool] | None = None,
    ) -> str | None:
        """The path of the image that an annotation file calls `name`, with extension.

        None: it fits no image, or several.
        """
        return self._by_name.find(name, beside.place if beside else None, among)

    def find_stem(
        self,
        stem: str,
        beside: SourceFolder | None = None,
        among: Callable[[str], bool] | None = None,
    ) -> str | None:
        """The same for an image that is called without its extension."""
        return self._by_stem.find(stem, beside.place if beside else None, among)

    def missing(
        self, item: str, names: Sequence[str], annotations: int, noun: str = "annotations"
    ) -> ImportIssue:
        """Says why there is no one image of these names for an item with annotations."""
        reason, why, images = self._why_missing(names)
        return ImportIssue(
            item,
            reason,
            f"{why}; skipped with {annotations} {noun}",
            images=images,
            annotations=annotations,
        )

    def _why_missing(self, names: Sequence[str]) -> tuple[str, str, int]:
        """Reason, message, and how many images are left out for which there is no other line."""
        for name in names:
            found = self._by_name.fitting(name) or self._by_stem.fitting(name)
            if len(found) > 1:
                few = ", ".join(found[:_FEW]) + (", …" if len(found) > _FEW else "")
                return (
                    "IMAGE_AMBIGUOUS",
                    f"fits {len(found)} images below {self.folder} ({few}); name its folder too",
                    0,
                )
            if found:
                return "IMAGE_LISTED_TWICE", f"is of {found[0]}, which has another", 0
        for name in names:
            options = self._others.find(name), self._others_by_stem.find(name)
            if other := next(filter(None, (*options, self._others.find(dirname(name)))), None):
                issue = self._passed_over[other]
                why = issue.message.removesuffix("; skipped")
                return issue.reason, f"its image {other} {why}", 0
            if f"{self.folder.place}/{name}" in self._around.hidden:
                return "HIDDEN_LEFT_OUT", f"its image {name} is a hidden or system file", 1
        for name in names:
            if other := self._no_images.find(name):
                why = f"its image may be {other}, which has no extension of an image that is read"
                return "FORMAT_NOT_READ", why, 1
        nearest = None
        if self._looked_for < _NEAREST:
            self._looked_for += 1
            nearest = next(filter(None, map(self._by_name.nearest, names)), None)
        near = f"; the nearest name is {nearest}" if nearest else ""
        return "IMAGE_FILE_MISSING", f"fits no image below {self.folder}{near}", 1

    @cached_property
    def _no_images(self) -> NameFinder:
        """The files that are neither images nor texts, by stem: looked for when one is missed."""
        files = files_below(self._root, None, Surroundings())
        left_out = IMAGE_EXTENSIONS | _NOT_READ | _TEXTS
        paths = [
            where.encode(errors="surrogateescape").decode(errors="backslashreplace")
            for where in files
            if splitext(where)[1].lower() not in left_out
        ]
        return NameFinder(sorted(paths), self.folder.place, _stem)

    def resolve(self, path: str) -> str:
        """The absolute location of one of `paths`, links followed."""
        return self.file(path).resolve().as_posix()

    def size(self, path: str) -> tuple[int, int] | None:
        """Width and height of one of `paths` as displayed, read from the header.

        None: the file is no image that can be read.
        """
        try:
            picture = self.picture(path)
        except (OSError, Unreadable):
            return None
        return picture.width, picture.height

    def picture(self, path: str, *, whole: bool = False) -> Picture:
        """What the header of one of `paths` says.

        Args:
            path: the image.
            whole: see to it that the file goes on to the end of the picture, too.

        Raises:
            OSError: the file cannot be read.
            BreaksOff: it ends before the picture does.
            Unreadable: it is no picture that is read.
        """
        file = self.file(path)
        size = regular(file).st_size
        if size > MAX_BYTES:
            raise Unreadable(f"has {size:,} bytes; images of up to 4 GiB are taken")
        with opened(file, _BUFFER) as content:
            picture = measure(content)
            if whole:
                check_whole(content)
            return picture


def _stem(path: str) -> str:
    return splitext(path)[0]


def _not_read(path: str) -> str:
    kind = splitext(path)[1][1:].upper()
    return f"of a format that is not read ({kind}); convert it to JPEG or PNG"
