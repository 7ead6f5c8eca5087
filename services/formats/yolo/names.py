"""The class list of a YOLO dataset, and what its data.yaml says about splits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from posixpath import basename, commonpath, splitext
from typing import Any

import yaml

from services.catalog.model import SPLITS
from services.formats.common.class_list import checked_names
from services.formats.common.finder import Annotations, ImageFinder, SourceFile, SourceFolder
from services.formats.common.source import ImportFailed
from services.formats.common.source_files import text_of

_YAML_FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "names.txt")
#: Text files that lie beside labels and are none.
NO_LABELS = frozenset((*_LISTS, *(f"{word}.txt" for word in (*SPLITS, "valid"))))


@dataclass(frozen=True, slots=True)
class YoloNames:
    """Class names by the id that labels use, in order."""

    by_id: dict[int, str]
    #: Folders of images, each with its split; as are the images, absolute and links followed.
    _places: list[tuple[str, str]] = field(default_factory=list)
    #: Images in lists, with their splits.
    _listed: dict[str, str] = field(default_factory=dict)

    def split(self, path: str, images: ImageFinder) -> str | None:
        """The split whose folder or list in data.yaml holds the image."""
        if not self._places and not self._listed:
            return None
        image = images.resolve(path)
        if image in self._listed:
            return self._listed[image]
        return next(
            (split for place, split in self._places if commonpath((place, image)) == place), None
        )


def read_names(annotations: Annotations, images: SourceFolder) -> YoloNames:
    """Finds and reads the class list: `annotations` itself where it is a file, else a
    data.yaml or classes.txt (or another of their usual names) in or above its folder, or in
    or above that of the images.

    Raises:
        ImportFailed: there is none, or it cannot be read.
    """
    if annotations.file:
        if not annotations.file.exists:
            raise ImportFailed(f"{annotations} does not exist; give the folder of the labels.")
        return _read(annotations.file)
    folder = annotations.folder
    above = folder.parent
    # Such as "labels.config.yaml" beside "labels".
    beside = tuple(f"{basename(place)}." for place in (folder.place, above.place))
    for place in (folder, above, above.parent, images, images.parent):
        for name in (*_YAML_FILES, *_LISTS):
            if file := place.file(name):
                return _read(file)
        for file in place.files(".yaml"):
            if file.where.startswith(beside):
                return _read(file)
    raise ImportFailed(
        f"No class list was found in or above {annotations}; put a classes.txt there, with one "
        "name a line, or a data.yaml with `names`."
    )


def _read(file: SourceFile) -> YoloNames:
    text = text_of(file)
    if splitext(file.where)[1] in (".yaml", ".yml"):
        return _from_yaml(file, text)
    names = [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ImportFailed(f"{file} names no class; write one name a line.")
    return YoloNames(dict(enumerate(checked_names(names, str(file)))))


def _from_yaml(file: SourceFile, text: str) -> YoloNames:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ImportFailed(f"{file} is not YAML: {error}.") from None
    names = value.get("names") if isinstance(value, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or any(type(key) is not int for key in names):
        raise ImportFailed(f"{file} needs `names`: a list, or class names by whole number ids.")
    if "kpt_shape" in value:
        raise ImportFailed(
            f"{file} describes poses (kpt_shape), which do not name their joints; "
            "import the COCO form of the dataset."
        )
    identifiers = sorted(names)
    # YAML reads `no` or `12` as something else than text.
    plain = checked_names([str(names[key]) for key in identifiers], str(file))
    places, listed = _splits(file.folder, value)
    return YoloNames(dict(zip(identifiers, plain, strict=True)), places, listed)


def _splits(
    folder: SourceFolder, value: dict[str, Any]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Folders and images of each split, as the data.yaml in the folder names them."""
    root = str(value.get("path") or ".")
    places: list[tuple[str, str]] = []
    listed: dict[str, str] = {}
    for split in SPLITS:
        entries = value.get(split) or []
        for entry in map(str, entries if isinstance(entries, list) else [entries]):
            # Roboflow writes "../train/images" beside "train/images".
            for parts in ((root, entry), (entry,), (entry.removeprefix("../"),)):
                if place := folder.subfolder(*parts):
                    places.append((place.resolve(), split))
                    break
                if listing := folder.file(*parts):
                    for image in _images_in(listing):
                        listed.setdefault(image, split)
                    break
    return places, listed


def _images_in(listing: SourceFile) -> Iterator[str]:
    for line in text_of(listing).splitlines():
        if line.strip():
            yield listing.folder.resolve(line.strip())
