"""The class list of a YOLO dataset, and what its data.yaml says about splits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from posixpath import basename, splitext

from services.formats.common.class_list import checked_names
from services.formats.common.finder import Annotations, ImageFinder, SourceFile, SourceFolder
from services.formats.common.source import ImportFailed
from services.formats.common.source_files import text_of
from services.formats.common.split_names import SPLIT_WORDS
from services.formats.common.yaml_text import YamlText, YamlUnreadable, read_yaml
from services.formats.yolo.lines import is_row, lines_of
from services.formats.yolo.splits import ImageSplits

_YAML = (".yaml", ".yml")
_YAML_FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "names.txt")
#: Suffixes of files that hold nothing but names, whatever they are called: those of Darknet, and
#: `_darknet.labels`, which Roboflow puts beside the labels of each split.
_OF_NAMES = (".names", ".labels")
#: Lists of make-sense, PaddleX, labelImg and others, where they are no label file of an image.
OTHER_LISTS = (
    *("labels.txt", "label.txt", "class.txt", "class_names.txt", "classnames.txt"),
    *("label_names.txt", "label_list.txt", "predefined_classes.txt"),
)
#: Darknet's: lines of `key = value`, with the file of the names and a list of images a split.
_DARKNET = "obj.data"
_ID_DIGITS = 9
#: Text files that lie beside labels, and are hardly ever some.
_NO_LABELS = frozenset((*_LISTS, *(f"{word}.txt" for word in SPLIT_WORDS)))


@dataclass(frozen=True, slots=True)
class YoloNames:
    """Class names by the id that labels use, in order."""

    by_id: dict[int, str]
    #: What data.yaml holds, and the file itself.
    yaml: dict[str, YamlText] = field(default_factory=dict)
    file: SourceFile | None = None

    def splits(self, images: ImageFinder) -> ImageSplits | None:
        """The splits that data.yaml gives to images; None: it gives none, or is not there.

        Raises:
            ImportFailed: a list of images that it names cannot be read.
        """
        splits = ImageSplits(self.yaml, self.file, images) if self.file else None
        return splits if splits and splits.are_there else None


def read_names(annotations: Annotations, images: SourceFolder) -> YoloNames:
    """Finds and reads the class list: `annotations` itself where it is a file, else a
    data.yaml, an obj.data or a classes.txt (or another of their usual names) in or above its
    folder, or in or above that of the images; else a list that other tools name otherwise.

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
    around = (folder, above, above.parent, images, images.parent)
    for place in around:
        for name in (*_YAML_FILES, _DARKNET, *_LISTS):
            if file := place.file(name):
                return _read(file)
        for file in place.files(".yaml"):
            if file.where.startswith(beside):
                return _read(file)
    for place in around[:2]:
        others = [file for suffix in _YAML for file in place.files(suffix) if _has_names(file)]
        if found := _only_one(others):
            return found
    for place in around:
        if found := _only_one(_other_lists(place.files)):
            return found
    for lists in (_lists_below(folder), _other_lists(folder.files_below)):
        if found := _only_one(lists):
            return found
    raise ImportFailed(
        f"No class list was found around {annotations}; put a classes.txt there, with one "
        "name a line, or a data.yaml with `names`."
    )


def _has_names(file: SourceFile) -> bool:
    """Whether a YAML file of any name, such as `coco128.yaml`, has a class list."""
    try:
        value = read_yaml(text_of(file))
    except (YamlUnreadable, ImportFailed):
        return False
    return isinstance(value, dict) and "names" in value


def _lists_below(folder: SourceFolder) -> list[SourceFile]:
    """The class lists below a folder: LabelImg puts one beside the labels of each."""
    suffixes = dict.fromkeys(splitext(name)[1] for name in (*_YAML_FILES, *_LISTS))
    known = frozenset((*_YAML_FILES, *_LISTS))
    files = [file for suffix in suffixes for file in folder.files_below(suffix)]
    return [file for file in files if basename(file.where).lower() in known]


def _other_lists(files: Callable[[str], list[SourceFile]]) -> list[SourceFile]:
    """The class lists that other tools write, of what `files` has of a suffix."""
    found = [file for suffix in _OF_NAMES for file in files(suffix)]
    texts = [file for file in files(".txt") if basename(file.where).lower() in OTHER_LISTS]
    return found or [file for file in texts if is_list(file)]


def is_list(file: SourceFile) -> bool:
    """Whether a text lists names or images, as it is called, and has no row of a label: an image
    may be called `test.jpg`, too."""
    name = basename(file.where).lower()
    if name not in _NO_LABELS and name not in OTHER_LISTS:
        return False
    try:
        lines = [words for words in lines_of(file) if words]
    except ImportFailed:
        return name in _NO_LABELS
    return not any(map(is_row, lines)) and (bool(lines) or name in _NO_LABELS)


def _only_one(files: list[SourceFile]) -> YoloNames | None:
    """What files say; None: there is none.

    Raises:
        ImportFailed: they differ.
    """
    found = [_read(file) for file in files]
    if len({tuple(names.by_id.items()) for names in found}) > 1:
        few = " and ".join(str(file) for file in files[:2])
        raise ImportFailed(f"Several class lists differ: {few}; give one as the annotations.")
    return next(iter(found), None)


def _read(file: SourceFile) -> YoloNames:
    text = text_of(file)
    if splitext(file.where)[1].lower() in _YAML:
        return _from_yaml(file, text)
    if splitext(file.where)[1] == splitext(_DARKNET)[1]:
        return _from_darknet(file, text)
    return YoloNames(_listed_names(file))


def _from_darknet(file: SourceFile, text: str) -> YoloNames:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    values: dict[str, YamlText] = {key.strip(): value.strip() for key, _, value in pairs}
    names = values.get("names")
    listing = _named_list(file.folder, names) if isinstance(names, str) else None
    if listing is None:
        raise ImportFailed(f"{file} needs `names = ` and a file of names, one a line.")
    return YoloNames(_listed_names(listing), values, file)


def _named_list(folder: SourceFolder, name: str) -> SourceFile | None:
    """The list of that name, or of its last part: CVAT writes `data/obj.names` for the file
    beside."""
    return folder.file(name) or folder.file(basename(name))


def _listed_names(file: SourceFile) -> dict[int, str]:
    """One name a line."""
    text = text_of(file)
    names = [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ImportFailed(f"{file} names no class; write one name a line.")
    if all(is_row(name.split()) for name in names):
        raise ImportFailed(f"{file} is a label file, and no class list; give its folder.")
    return dict(enumerate(checked_names(names, str(file))))


def _from_yaml(file: SourceFile, text: str) -> YoloNames:
    try:
        value = read_yaml(text)
    except YamlUnreadable as error:
        raise ImportFailed(f"{file} is not YAML: {error}.") from None
    if not isinstance(value, dict):
        raise ImportFailed(f"{file} needs `names`: a list, or class names by whole number ids.")
    if "kpt_shape" in value:
        raise ImportFailed(
            f"{file} describes poses (kpt_shape), which do not name their joints; "
            "import the COCO form of the dataset."
        )
    given = value.get("names")
    if isinstance(given, str) and (listing := _named_list(file.folder, given)):
        return YoloNames(_listed_names(listing), value, file)
    names = _names(file, given)
    plain = checked_names(list(names.values()), str(file))
    return YoloNames(dict(zip(names, plain, strict=True)), value, file)


def _names(file: SourceFile, value: YamlText | None) -> dict[int, str]:
    """The names by id, in the order of ids, as they are written."""
    pairs: list[tuple[str, YamlText]] = []
    if isinstance(value, list):
        pairs = [(str(index), name) for index, name in enumerate(value)]
    elif isinstance(value, dict):
        pairs = list(value.items())
    names: dict[int, str] = {}
    for key, name in pairs:
        # Ids of more digits than anybody has classes are no ids.
        if not (key.isascii() and key.isdecimal() and len(key) <= _ID_DIGITS):
            raise ImportFailed(f"{file}: `names` must have whole number ids, not {key[:60]!r}.")
        if not isinstance(name, str):
            raise ImportFailed(f"{file}: class {key} needs a name that is text.")
        if int(key) in names:
            raise ImportFailed(f"{file}: class id {int(key)} is there twice in `names`.")
        names[int(key)] = name
    if not names:
        raise ImportFailed(f"{file} needs `names`: a list, or class names by whole number ids.")
    return dict(sorted(names.items()))
