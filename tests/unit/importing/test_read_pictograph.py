"""Pictograph JSON: what an export wrote comes back as it was."""

from pathlib import Path
from typing import Any

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportOptions, read_dataset
from tests.unit.importing.dataset_files import (
    read_all,
    reasons,
    write_image,
    write_json,
    write_text,
)

BOX: dict[str, Any] = {
    "id": "one",
    "name": "car",
    "type": "bbox",
    "bounding_box": {"x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0},
    "confidence": 1.0,
    "attributes": [],
}
CLASSES = [
    {"id": 0, "name": "van", "type": "bbox", "color": "#112233"},
    {"id": 1, "name": "car", "type": "polygon", "color": "#445566"},
]


def test_an_export_comes_back(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a" / "x~2.jpg")
    write_json(tmp_path / "dataset.json", {"classes": CLASSES})
    block = {
        "path": "A/x.jpg",
        "file": "images/a/x~2.jpg",
        "status": "review",
        "split": "val",
    }
    file = tmp_path / "annotations" / "a" / "x~2.jpg.json"
    write_json(file, {"image": block, "annotations": [BOX]})
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
    (item,) = read_all(source)
    assert (item.path, item.status, item.split) == ("A/x.jpg", "review", "val")
    assert item.annotations == [BOX]
    assert [c.to_json() for c in source.classes] == [
        {key: value for key, value in row.items() if key != "id"} for row in CLASSES
    ]
    assert not reasons(source, [item])
    again = read_dataset("pictograph", tmp_path, tmp_path, ImportOptions(status="complete"))
    (item,) = read_all(again)
    assert (item.path, item.status) == ("A/x.jpg", "complete")


def test_splits_of_an_archive_by_split(tmp_path: Path) -> None:
    for folder, split in (("train", "train"), ("valid", "val")):
        write_image(tmp_path / folder / "images" / "x.jpg")
        write_json(
            tmp_path / folder / "annotations" / "x.jpg.json",
            {"image": {"path": f"{folder}.jpg", "split": split}, "annotations": [BOX]},
        )
    write_json(tmp_path / "manifest.json", {"files": []})
    items = read_all(read_dataset("pictograph", tmp_path, tmp_path))
    assert [(item.path, item.split) for item in items] == [
        ("train.jpg", "train"),
        ("valid.jpg", "val"),
    ]


def test_bare_arrays_and_classes_by_appearance(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    nose = {"name": "nose", "type": "keypoint", "keypoint": {"x": 1, "y": 1}}
    write_json(tmp_path / "labels" / "x.json", [nose, {**BOX, "id": "two"}])
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "labels")
    (item,) = read_all(source)
    assert [(c.name, c.type) for c in source.classes] == [("nose", "keypoint"), ("car", "bbox")]
    assert [a["name"] for a in item.annotations] == ["nose", "car"]


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    write_image(tmp_path / "images" / "y.jpg")
    values = [BOX, {**BOX, "bounding_box": None}, "car", BOX]
    write_json(tmp_path / "labels" / "x.json", values)
    write_json(tmp_path / "labels" / "x.jpg.json", [])
    write_json(tmp_path / "labels" / "gone.json", [])
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "labels")
    items = read_all(source)
    assert reasons(source, items) == {
        "IMAGE_LISTED_TWICE": 1,
        "IMAGE_FILE_MISSING": 1,
        "NO_ANNOTATION_FILE": 1,
    }
    (tmp_path / "labels" / "x.jpg.json").unlink()
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "labels")
    items = read_all(source)
    assert [len(item.annotations) for item in items] == [2, 0]
    assert reasons(source, items)["ANNOTATION_INVALID"] == 2
    assert reasons(source, items)["ID_TWICE"] == 1
    assert "annotations[1].bounding_box" in items[0].issues[0].message


@pytest.mark.parametrize("path", ["../x.jpg", "/x.jpg", "a/../x.jpg", "", 7])
def test_a_path_that_leads_out_is_not_taken(tmp_path: Path, path: Any) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    write_json(tmp_path / "labels" / "x.json", {"image": {"path": path}, "annotations": []})
    (item,) = read_all(read_dataset("pictograph", tmp_path / "images", tmp_path / "labels"))
    assert item.path == "x.jpg"


@pytest.mark.parametrize("text", ["{", "{}", "7", '{"annotations": {}}'])
def test_an_unreadable_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    write_text(tmp_path / "labels" / "x.json", text)
    with pytest.raises(ImportFailed, match=r"x\.json"):
        read_dataset("pictograph", tmp_path / "images", tmp_path / "labels")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"classes": {"a": 1}},
        {"classes": [{}]},
        {"classes": [{"name": " "}]},
        {"classes": [{"name": "a", "type": "box"}]},
    ],
)
def test_a_bad_class_list_is_a_clear_error(tmp_path: Path, value: Any) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    write_json(tmp_path / "annotations" / "x.json", [])
    write_json(tmp_path / "dataset.json", value)
    with pytest.raises(ImportFailed, match=r"dataset\.json"):
        read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
