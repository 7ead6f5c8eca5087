"""Small datasets on disk for the tests of the readers."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from services.catalog.annotations import normalise
from services.importing.dataset import ImportItem, ImportSource

_EXIF_ORIENTATION = 0x0112


def write_image(file: Path, width: int = 40, height: int = 20, orientation: int = 1) -> None:
    """An image of one colour; JPEG and PNG by its extension."""
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    Image.new("RGB", (width, height)).save(file, exif=exif)


def write_json(file: Path, value: Any) -> Path:
    """A JSON file, and its path."""
    return write_text(file, json.dumps(value))


def write_text(file: Path, text: str) -> Path:
    """A text file, and its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def shared(folder: str) -> Path:
    """A folder of the real datasets beside the project."""
    path = Path(__file__).parents[4] / "shared" / "data" / folder
    if not path.is_dir():
        pytest.skip(f"the shared dataset {folder} is not beside the project")
    return path


def read_all(source: ImportSource) -> list[ImportItem]:
    """Every item, after checking what holds for all: the wire form is right and complete,
    classes are known, paths come once, and a second run gives the same."""
    items = list(source.items())
    names = {item.name for item in source.classes}
    assert [item.path for item in items] == source.paths
    assert len(set(source.paths)) == len(source.paths)
    for item in items:
        raw = orjson.dumps(item.annotations)
        assert orjson.loads(normalise(raw).document) == item.annotations
        assert {annotation["name"] for annotation in item.annotations} <= names
        assert item.file.is_file()
    assert list(source.items()) == items
    return items


def reasons(source: ImportSource, items: list[ImportItem]) -> Counter[str]:
    """All that was skipped or repaired, by reason."""
    issues = [*source.issues, *(issue for item in items for issue in item.issues)]
    assert all(issue.item and issue.message for issue in issues)
    return Counter(issue.reason for issue in issues)


def box(annotation: dict[str, Any]) -> tuple[float, ...]:
    """Left, top, width, height."""
    return tuple(annotation["bounding_box"][key] for key in "xywh")


def rings(annotation: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """The rings of a polygon."""
    return [[(point["x"], point["y"]) for point in ring] for ring in annotation["polygon"]["paths"]]
