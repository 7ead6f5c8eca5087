"""The images of a dataset on disk."""

import os
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from posixpath import basename, splitext

from PIL import Image

from services.catalog.names import IMAGE_EXTENSIONS
from services.formats.common.source import ImportFailed, ImportIssue
from services.importing.folders import DiskFolder

# Reading a header allocates nothing, so no size is suspicious.
Image.MAX_IMAGE_PIXELS = None

_EXIF_ORIENTATION = 0x0112
#: Orientations that turn the image by a quarter.
_QUARTER_TURNS = frozenset((5, 6, 7, 8))


class ImageFolder:
    """All image files below a folder, found by path, by name or by stem."""

    def __init__(self, root: Path) -> None:
        """Raises:
        ImportFailed: there is no such folder, or no image in it.
        """
        if not root.is_dir():
            raise ImportFailed(f"{root} is no folder; give the folder of the images.")
        self._root = root
        self.folder = DiskFolder(root)
        self.issues: list[ImportIssue] = []
        # Only of names that are not UTF-8: a Path for each image takes memory.
        self._odd_files: dict[str, Path] = {}
        #: In order.
        self.paths = sorted(
            self._path(Path(folder, name))
            for folder, _, names in os.walk(root)
            for name in names
            if splitext(name)[1].lower() in IMAGE_EXTENSIONS
        )
        if not self.paths:
            known = " ".join(sorted(extension[1:] for extension in IMAGE_EXTENSIONS))
            raise ImportFailed(f"{root} holds no image ({known}); give the folder of the images.")
        self._known = frozenset(self.paths)

    def _path(self, file: Path) -> str:
        path = file.relative_to(self._root).as_posix()
        try:
            path.encode()
        except UnicodeEncodeError:
            path = os.fsencode(path).decode(errors="backslashreplace")
            self._odd_files[path] = file
            self.issues.append(
                ImportIssue(
                    path,
                    "NAME_NOT_UTF8",
                    "the file name is not UTF-8; its other bytes were written as \\x..",
                )
            )
        return path

    @cached_property
    def _by_nfc(self) -> dict[str, str | None]:
        return unique(self.paths, lambda path: unicodedata.normalize("NFC", path))

    @cached_property
    def _by_name(self) -> dict[str, str | None]:
        return unique(self.paths, basename)

    @cached_property
    def _by_stem(self) -> dict[str, str | None]:
        return unique(self.paths, lambda path: splitext(path)[0])

    @cached_property
    def _by_name_stem(self) -> dict[str, str | None]:
        return unique(self.paths, lambda path: splitext(basename(path))[0])

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def file(self, path: str) -> Path:
        """The file of one of `paths`."""
        return self._odd_files.get(path) or self._root / path

    def find(self, name: str) -> str | None:
        """The path of the image that an annotation file calls `name`, with extension.

        The path itself first, then one that differs in Unicode normalization only, then the
        only image of that file name in any folder.
        """
        if name in self._known:
            return name
        return self._by_nfc.get(unicodedata.normalize("NFC", name)) or self._by_name.get(
            basename(name)
        )

    def find_stem(self, stem: str) -> str | None:
        """The path of the image that an annotation file calls `stem`, without extension:
        the only one of that stem, or of that file name in any folder."""
        return self._by_stem.get(stem) or self._by_name_stem.get(basename(stem))

    def resolve(self, path: str) -> str:
        """The absolute location of one of `paths`, links followed."""
        return self.file(path).resolve().as_posix()

    def size(self, path: str) -> tuple[int, int] | None:
        """Width and height of one of `paths` as displayed (EXIF orientation applied), read from
        the header.

        None: the file is no image that can be read.
        """
        try:
            with Image.open(self.file(path)) as image:
                width, height = image.size
                if image.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS:
                    return height, width
                return width, height
        except (OSError, ValueError, SyntaxError):
            return None


def unique(paths: Iterable[str], part: Callable[[str], str]) -> dict[str, str | None]:
    """Paths by a part of them; None where several share it."""
    found: dict[str, str | None] = {}
    for path in paths:
        key = part(path)
        found[key] = None if key in found else path
    return found
