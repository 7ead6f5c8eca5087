"""Hidden files and folders that are meant, though systems and tools hide their own."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import basename, splitext

from services.catalog.names import IMAGE_EXTENSIONS
from services.importing.walk import Surroundings, files_below, opened

#: Suffixes of files with the annotations of one image.
_ANNOTATIONS = frozenset((".xml", ".txt", ".json"))
#: Those of files that may list images.
_LISTS = frozenset((".json", ".txt", ".yaml", ".yml"))
_BLOCK = 1 << 20
#: Bytes of a block that the next begins with: a path is not longer.
_OVERLAP = 1 << 13
_IMAGE = "|".join(re.escape(extension) for extension in sorted(IMAGE_EXTENSIONS))


def look_around(images: Path, annotations: Path) -> Surroundings:
    """Surroundings that know which hidden files are meant: an image that has an annotation file
    of its own, and what a list names, or a data.yaml as the place of a split."""
    around = Surroundings()
    # To its end, for what it tells `around`.
    for _ in files_below(images, IMAGE_EXTENSIONS, around):
        pass
    if not around.hidden:
        return Surroundings()
    beside = Surroundings()
    if annotations.is_dir():
        for _ in files_below(annotations, _ANNOTATIONS, beside):
            pass
    paired = frozenset(around.hidden_stems & beside.hidden_stems)
    names = {basename(place) for place in around.hidden if _may_be_named(place)}
    return Surroundings(paired, _named(names, annotations))


def _may_be_named(place: str) -> bool:
    name = basename(place)
    return (
        name.startswith(".")
        and not name.startswith("._")
        and (splitext(name)[1].lower() in IMAGE_EXTENSIONS or os.path.isdir(place))
    )


def _named(names: set[str], annotations: Path) -> frozenset[str]:
    """Those of the names that stand in paths of images, or of the folders of splits."""
    if not names:
        return frozenset()
    plain = [os.fsencode(name) for name in sorted(names, key=len, reverse=True)]
    given = b"|".join(map(re.escape, plain))
    images = re.compile(
        rb"""(?:^|["'\s/])(%b)(?:/[^"'\n]*(?:%b))?(?=["']|\s*$)""" % (given, _IMAGE.encode()),
        re.MULTILINE | re.IGNORECASE,
    )
    image = re.compile(rb"(?:%b)$" % _IMAGE.encode(), re.IGNORECASE)
    folders = re.compile(
        rb"""^[ ]*(?:(?:path|train|val|test)[ ]*:|-)(?:.*["'\s/\[,])?(%b)(?=["'\s/\],]|$)"""
        % given,
        re.MULTILINE | re.IGNORECASE,
    )
    found: set[str] = set()
    for file in _lists(annotations):
        pattern = folders if file.suffix.lower() in (".yaml", ".yml") else images
        # Looked for in bytes first, which takes a tenth of the time.
        for block in _blocks(file):
            found_any = any(name in block for name in plain)
            for match in pattern.finditer(block) if found_any else ():
                # A folder's name alone is no image.
                if pattern is folders or image.search(match[0]):
                    found.add(os.fsdecode(match[1]))
    return frozenset(found & names)


def _lists(annotations: Path) -> Iterator[Path]:
    files = [annotations]
    try:
        if annotations.is_dir():
            files = sorted(annotations.iterdir())
    except OSError:
        return
    yield from (file for file in files if file.suffix.lower() in _LISTS)


def _blocks(file: Path) -> Iterator[bytes]:
    rest = b""
    try:
        with opened(file) as content:
            while block := content.read(_BLOCK):
                yield rest + block
                rest = block[-_OVERLAP:]
    except OSError:
        # Whoever needs it says so.
        return
