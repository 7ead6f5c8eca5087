"""The class list of a YOLO dataset, and what its data.yaml says about splits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from services.catalog.model import SPLITS
from services.formats.common.source import ImportFailed, checked_names

_YAML_FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "names.txt")
#: Text files that lie beside labels and are none.
NO_LABELS = frozenset((*_LISTS, *(f"{word}.txt" for word in (*SPLITS, "valid"))))


@dataclass(frozen=True, slots=True)
class YoloNames:
    """Class names by the id that labels use, in order."""

    by_id: dict[int, str]
    #: Folders and lists of images, each with its split.
    _places: list[tuple[Path, str]] = field(default_factory=list)
    _listed: dict[Path, str] = field(default_factory=dict)

    def split(self, image: Path) -> str | None:
        """The split whose folder or list in data.yaml holds the image."""
        if not self._places and not self._listed:
            return None
        image = image.resolve()
        if image in self._listed:
            return self._listed[image]
        return next((split for place, split in self._places if image.is_relative_to(place)), None)


def read_names(annotations: Path, images: Path) -> YoloNames:
    """Finds and reads the class list: `annotations` itself where it is a file, else a
    data.yaml or classes.txt (or another of their usual names) in or above its folder, or in
    or above that of the images.

    Raises:
        ImportFailed: there is none, or it cannot be read.
    """
    if annotations.is_file():
        return _read(annotations)
    if not annotations.exists():
        raise ImportFailed(f"{annotations} does not exist; give the folder of the labels.")
    above = annotations.absolute().parents
    folders = [annotations, *above[:2], images, images.absolute().parent]
    for folder in folders:
        for name in (*_YAML_FILES, *_LISTS):
            if (folder / name).is_file():
                return _read(folder / name)
        # Such as "labels.config.yaml" beside "labels".
        for file in sorted(folder.glob("*.yaml")):
            if file.name.startswith((f"{annotations.name}.", f"{above[0].name}.")):
                return _read(file)
    raise ImportFailed(
        f"No class list was found in or above {annotations}; put a classes.txt there, with one "
        "name a line, or a data.yaml with `names`."
    )


def _read(file: Path) -> YoloNames:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ImportFailed(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ImportFailed(f"{file} is not UTF-8; save it as UTF-8.") from None
    if file.suffix in (".yaml", ".yml"):
        return _from_yaml(file, text)
    names = [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ImportFailed(f"{file} names no class; write one name a line.")
    return YoloNames(dict(enumerate(checked_names(names, str(file)))))


def _from_yaml(file: Path, text: str) -> YoloNames:
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
    places, listed = _splits(file, value)
    return YoloNames(dict(zip(identifiers, plain, strict=True)), places, listed)


def _splits(file: Path, value: dict[str, Any]) -> tuple[list[tuple[Path, str]], dict[Path, str]]:
    base = file.parent / str(value.get("path") or ".")
    places: list[tuple[Path, str]] = []
    listed: dict[Path, str] = {}
    for split in SPLITS:
        entries = value.get(split) or []
        for entry in entries if isinstance(entries, list) else [entries]:
            # Roboflow writes "../train/images" beside "train/images".
            options = [root / str(entry) for root in (base, file.parent)]
            options.append(file.parent / str(entry).removeprefix("../"))
            place = next((option for option in options if option.exists()), None)
            if place is None:
                continue
            if place.is_dir():
                places.append((place.resolve(), split))
                continue
            for line in place.read_text(encoding="utf-8-sig").splitlines():
                if line.strip():
                    listed.setdefault((place.parent / line.strip()).resolve(), split)
    return places, listed
