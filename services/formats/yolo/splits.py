"""Which split the data.yaml of a YOLO dataset gives to an image.

`train`, `val` and `test`, or other words for them, each name folders of images, or lists of
them, below `path` or beside the file. Of paths from another machine the longest end that fits a
folder of images counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from posixpath import dirname

from services.catalog.model import SPLITS
from services.catalog.names import folded, has_image_extension
from services.formats.common.finder import ImageFinder, SourceFile, SourceFolder
from services.formats.common.name_finder import NameFinder, common_parts, parts_of
from services.formats.common.source import ImportFailed, ImportIssue
from services.formats.common.source_files import text_of
from services.formats.common.split_names import SPLIT_WORDS
from services.formats.common.yaml_text import YamlText

#: What stands for no value.
_NOTHING = ("", "~", "null", "Null", "NULL")
#: Folders above the images that a path from elsewhere may end in.
_ABOVE = 2
#: Names of folders that say nothing about a split.
_GENERIC = frozenset(("images", "labels", "data", "obj"))


class ImageSplits:
    """The splits of images, and what of data.yaml fits none."""

    def __init__(
        self, value: Mapping[str, YamlText], file: SourceFile, images: ImageFinder
    ) -> None:
        """Args:
        value: what data.yaml holds.
        file: data.yaml itself.
        images: all images.
        """
        self._unfitting: list[ImportIssue] = []
        #: What is wrong however many images have a split.
        self._wrong: list[ImportIssue] = []
        #: Whether any split is named at all.
        self.are_there = any(True for _ in _entries(value))
        self._file = file
        self._images = images
        #: Folders with the number of parts that say so, the literal ones first of all.
        self._places: dict[str, tuple[float, str]] = {}
        self._listed: dict[str, str] = {}
        for split, entry in _entries(value):
            if isinstance(entry, str):
                self._take(split, entry, _text(value.get("path")) or ".")
            else:
                self._name(f"its {split} has an entry that is no text; give folders or lists")

    @property
    def issues(self) -> list[ImportIssue]:
        """What of data.yaml fits no image, where an image has no split."""
        if self._unfitting and any(self.of(path) is None for path in self._images.paths):
            return [*self._wrong, *self._unfitting]
        return self._wrong

    def of(self, path: str) -> str | None:
        """The split of an image; None: data.yaml gives it none."""
        if path in self._listed:
            return self._listed[path]
        if not self._places:
            return None
        # As the path is given first: a folder of links has the split of its own name.
        return self._at(f"{self._images.folder.place}/{path}") or self._at(
            self._images.resolve(path)
        )

    def _at(self, image: str) -> str | None:
        place = dirname(image)
        while place not in self._places:
            above = dirname(place)
            if above == place:
                return None
            place = above
        return self._places[place][1]

    def _take(self, split: str, entry: str, root: str) -> None:
        beside = self._file.folder
        for parts in self._options(root, entry):
            if folder := beside.subfolder(*parts):
                for place in (folder.place, folder.resolve()):
                    _, first = self._places.setdefault(place, (float("inf"), split))
                if first != split:
                    message = f"{entry} is {first} and {split}; {first} was taken"
                    self._wrong.append(ImportIssue(self._file.where, "SPLIT_TWICE", message))
                if folder.place not in self._given and folder.resolve() not in self._resolved:
                    self._name(f"its {split} {entry!r} is a folder with none of the images")
                return
            if listing := beside.file(*parts):
                self._take_list(split, listing)
                return
        fitting = [place for place in self._folders.fitting(entry) if _tells(entry, place)]
        if len(fitting) != 1:
            fits = f"{len(fitting)} folders" if fitting else "no folder"
            self._name(f"its {split} {entry!r} fits {fits} of images; they get no split from it")
            return
        (place,) = fitting
        agreement = common_parts(entry, place)
        if agreement > self._places.get(f"/{place}", (0, ""))[0]:
            self._places[f"/{place}"] = (agreement, split)

    @staticmethod
    def _options(root: str, entry: str) -> Iterator[tuple[str, ...]]:
        """Where an entry may be, seen from the file that it stands in."""
        yield root, entry
        yield (entry,)
        # Roboflow writes "../train/images" beside "train/images".
        yield (entry.removeprefix("../"),)
        # CVAT writes "data/train.txt" for the list beside.
        if entry.lower().endswith(".txt"):
            yield (parts_of(entry)[-1],)

    def _take_list(self, split: str, listing: SourceFile) -> None:
        if has_image_extension(listing.where):
            # One image, named itself.
            lines = [listing.where]
        else:
            try:
                lines = text_of(listing).splitlines()
            except ImportFailed as error:
                message = f"{error.message.rstrip('.')}; no image gets its {split} from it"
                issue = ImportIssue(self._file.where, "SPLIT_LIST_UNREADABLE", message)
                self._wrong.append(issue)
                return
        missing = []
        for line in filter(None, map(str.strip, lines)):
            image = self._images.find(line, listing.folder)
            if image is None:
                missing.append(line)
            else:
                self._listed.setdefault(image, split)
        if missing:
            self._name(f"{listing} lists {len(missing)} images that are not there: {missing[0]} …")

    def _name(self, message: str) -> None:
        self._unfitting.append(ImportIssue(self._file.where, "SPLIT_WITHOUT_IMAGE", message))

    @cached_property
    def _given(self) -> set[str]:
        """The folders that images lie in, and all above."""
        place = self._images.folder.place
        return _and_above(dirname(f"{place}/{path}") for path in self._images.paths)

    @cached_property
    def _resolved(self) -> set[str]:
        """The same with links followed: asked for only where the others do not tell."""
        return _and_above(dirname(self._images.resolve(path)) for path in self._images.paths)

    @property
    def _folders(self) -> NameFinder:
        """The folders that hold images, those between, and a few above."""
        root: SourceFolder = self._images.folder
        found = {f"{root.place}/{path}" for path in self._images.paths}
        places: set[str] = set()
        for place in map(dirname, found):
            while place.startswith(root.place) and place not in places:
                places.add(place)
                place = dirname(place)
        above = root
        for _ in range(_ABOVE):
            above = above.parent
            places.add(above.place)
        return NameFinder(sorted(place.removeprefix("/") for place in places))


def _and_above(places: Iterable[str]) -> set[str]:
    left = set(places)
    found: set[str] = set()
    while left:
        found |= left
        left = {dirname(place) for place in left} - found
    return found


def _entries(value: Mapping[str, YamlText]) -> Iterator[tuple[str, YamlText]]:
    """What is given for each split, by any word for it in any case; what is no text, too."""
    by_key = {key.lower(): given for key, given in value.items()} | dict(value)
    for word in sorted(SPLIT_WORDS, key=lambda word: SPLITS.index(SPLIT_WORDS[word])):
        given = by_key.get(word)
        for entry in given if isinstance(given, list) else [given]:
            if entry and entry not in _NOTHING:
                yield SPLIT_WORDS[word], entry


def _text(value: YamlText | None) -> str | None:
    return value if isinstance(value, str) and value not in _NOTHING else None


def _tells(entry: str, place: str) -> bool:
    """Whether the parts that both end in have one that tells folders apart."""
    shared = parts_of(entry)[-common_parts(entry, place) :]
    return any(folded(part) not in _GENERIC for part in shared)
