"""COCO as other tools export it: their layouts, their fields, and their loose types."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportItem, ImportSource, read_dataset
from tests.unit.formats.archives import assemble, image, info
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    rings,
    shared,
    write_image,
    write_json,
)

BOX = [1, 2, 3, 4]
PERSON = {"id": 1, "name": "person", "keypoints": ["nose", "eye"], "skeleton": [[1, 2]]}


def _document(name: str, *rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": index, "image_id": 1, "category_id": 1, "bbox": BOX, **row}
            for index, row in enumerate(rows)
        ],
        **fields,
    }


def _read(root: Path, document: dict[str, Any]) -> tuple[ImportSource, list[ImportItem]]:
    write_image(root / "images" / "a.jpg")
    source = read_dataset("coco", root / "images", write_json(root / "c.json", document))
    return source, read_all(source)


def _issues(source: ImportSource, items: list[ImportItem]) -> list[str]:
    issues = [*source.issues, *(issue for item in items for issue in item.issues)]
    return [f"{issue.reason} {issue.item}: {issue.message}" for issue in issues]


@pytest.mark.parametrize(
    "files",
    [
        # Roboflow.
        {
            "train/_annotations.coco.json": ("train/a.jpg", "train"),
            "valid/_annotations.coco.json": ("valid/a.jpg", "val"),
            "test/_annotations.coco.json": ("test/a.jpg", "test"),
        },
        # COCO itself, and CVAT.
        {
            "annotations/instances_train2017.json": ("images/train2017/a.jpg", "train"),
            "annotations/instances_val2017.json": ("images/val2017/b.jpg", "val"),
            "annotations/image_info_test-dev2017.json": ("images/test2017/c.jpg", "test"),
        },
        # Datumaro: without splits, and with.
        {"annotations/instances_default.json": ("images/default/a.jpg", None)},
        {
            "annotations/instances_train.json": ("images/train/a.jpg", "train"),
            "annotations/instances_test_run.json": ("images/test_run/b.jpg", None),
        },
        # This project's own, by split.
        {
            "train/annotations/instances_train.json": ("train/images/x/a.jpg", "train"),
            "valid/annotations/instances_valid.json": ("valid/images/x/b.jpg", "val"),
        },
        # Label Studio.
        {"result.json": ("images/a.jpg", None)},
        {"train.json": ("data/a.jpg", "train"), "val.json": ("data/b.jpg", "val")},
        {
            "train/annotations.json": ("train/data/a.jpg", "train"),
            "val/annotations.json": ("val/data/b.jpg", "val"),
        },
        # One folder says too little.
        {"test/annotations.json": ("test/data/a.jpg", None)},
    ],
)
def test_documents_of_all_splits_come_in_at_once(
    tmp_path: Path, files: dict[str, tuple[str, str | None]]
) -> None:
    for place, (path, _) in files.items():
        write_image(tmp_path / path)
        name = Path(path).name if "_annotations" in place else path.split("/", 1)[1]
        write_json(tmp_path / place, _document(name, {}))
    write_json(tmp_path / "manifest.json", {"format": "coco"})
    source = read_dataset("coco", tmp_path, tmp_path)
    items = read_all(source)
    assert {item.path: item.split for item in items} == dict(files.values())
    assert [len(item.annotations) for item in items] == [1] * len(files)
    assert [item.name for item in source.classes] == ["car"]
    assert not reasons(source, items)


def test_categories_of_documents_go_by_name(tmp_path: Path) -> None:
    for split, names in (("train", ["car", "bus"]), ("valid", ["bus", "tram"])):
        write_image(tmp_path / split / f"{split}.jpg")
        categories = [{"id": i, "name": name} for i, name in enumerate(names)]
        document = _document(f"{split}.jpg", {}, {"category_id": 0}, categories=categories)
        write_json(tmp_path / split / "_annotations.coco.json", document)
    source = read_dataset("coco", tmp_path, tmp_path)
    found = [[a["name"] for a in item.annotations] for item in read_all(source)]
    assert found == [["bus", "car"], ["tram", "bus"]]
    assert [item.name for item in source.classes] == ["car", "bus", "tram"]


def test_what_is_no_document_is_left_out_and_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    write_json(tmp_path / "instances_train.json", _document("a.jpg", {}))
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    write_json(tmp_path / "captions_train.json", _document("a.jpg", {"caption": "a car"}))
    write_json(tmp_path / "settings.json", {"colour": "red"})
    source = read_dataset("coco", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert len(item.annotations) == 1
    assert item.split == "train"
    assert reasons(source, [item]) == {"DOCUMENT_LEFT_OUT": 2, "DOCUMENT_UNREADABLE": 1}


def test_other_files_above_the_documents(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    write_json(tmp_path / "dataset-metadata.json", {"title": "pets"})
    write_json(tmp_path / "annotations" / "instances_val.json", _document("a.jpg", {}))
    source = read_dataset("coco", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert (len(item.annotations), item.split) == (1, "val")
    assert reasons(source, [item]) == {"DOCUMENT_LEFT_OUT": 1}


def test_poses_beside_the_instances_that_they_repeat(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    pose = {"category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2]}
    whole = _document("a.jpg", {}, {"category_id": 2}, categories=[PERSON, {"id": 2, "name": "x"}])
    poses = _document("a.jpg", pose, categories=[PERSON])
    write_json(tmp_path / "annotations" / "instances_train.json", whole)
    write_json(tmp_path / "annotations" / "person_keypoints_train.json", poses)
    (item,) = read_all(read_dataset("coco", tmp_path / "images", tmp_path))
    assert [a["name"] for a in item.annotations] == ["nose", "eye", "x"]


def test_an_own_export_comes_in_again(tmp_path: Path) -> None:
    car: dict[str, Any] = {"bounding_box": {"x": 1, "y": 2, "w": 3, "h": 4}}
    values = [
        {"id": "1", "name": "car", "type": "bbox", **car},
        {"id": "2", "name": "nose", "type": "keypoint", "keypoint": {"x": 1, "y": 2}},
    ]
    files, _ = assemble(info("coco"), [image(values)])
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    write_image(tmp_path / "images" / "día" / "1.jpg", 100, 80)
    (item,) = read_all(read_dataset("coco", tmp_path, tmp_path))
    assert [a["name"] for a in item.annotations] == ["car", "nose"]


def test_loose_types_are_read_where_they_are_plain(tmp_path: Path) -> None:
    document = {
        "images": [
            {"id": "1", "file_name": "a.jpg", "width": "40", "height": 20.0},
            {"id": "b", "file_name": "b.jpg"},
        ],
        "categories": [{"id": 2.0, "name": 7}, {"id": "3", "name": "dog"}],
        "annotations": [
            {"id": "x", "image_id": 1.0, "category_id": "2", "bbox": ["1", 2.5, "3", 4]},
            {"image_id": 1, "category_id": 3, "segmentation": [1, 1, 9, 1, 9, 9]},
            {"image_id": "1", "category_id": 3, "segmentation": [[1, 1], [9, 1], [9, 9]]},
            {"image_id": "1", "category_id": 3, "segmentation": [[[1, 1], [9, 1], [9, 9]]]},
            {"image_id": "1", "category_id": 3, "segmentation": [[[1, 1, 9, 1, 9, 9]]]},
            {"image_id": 1, "category_id": 3, "bbox": BOX, "iscrowd": "1", "score": "0.5"},
            {
                "image_id": 1,
                "category_id": 3,
                "segmentation": {"size": [20.0, "40"], "counts": [0.0, 2, 798]},
            },
            {"image_id": "b", "category_id": 3, "bbox": BOX, "segmentation": None},
        ],
    }
    write_image(tmp_path / "images" / "b.jpg")
    source, (a, b) = _read(tmp_path, document)
    assert box(a.annotations[0]) == (1, 2.5, 3, 4)
    triangle = [[(1, 1), (9, 1), (9, 9)]]
    assert [rings(annotation) for annotation in a.annotations[1:5]] == [triangle] * 4
    assert a.annotations[5]["attributes"] == {"iscrowd": "true"}
    assert a.annotations[5]["confidence"] == 0.5
    assert box(a.annotations[6]) == (0, 0, 1, 2)
    assert len(b.annotations) == 1
    assert [item.name for item in source.classes] == ["7", "dog"]
    assert not reasons(source, [a, b])


def test_other_types_are_named_once_with_field_and_type(tmp_path: Path) -> None:
    document = _document("a.jpg", {}, {"bbox": {"x": 1}}, {"segmentation": "x"}, {"bbox": "1 2"})
    document["images"] += [{"id": {}, "file_name": "b.jpg"}] * 3 + [{"id": 9}, "c.jpg"]
    document["annotations"] += [{"image_id": [1]}] * 4 + [[1, 2]]
    source, items = _read(tmp_path, document)
    text = "\n".join(_issues(source, items))
    assert "the id of an image is an object, and must be a whole number; 3 images" in text
    assert "the file_name of an image is missing or null, and must be text; 1 images" in text
    assert "an image is text, and must be an object; 1 images" in text
    assert "image_id is a list, and must be a whole number; 4 annotations" in text
    assert "an annotation is a list, and must be an object; 1 annotations" in text
    assert "bbox is an object, and must be a list of 4 numbers; skipped" in text
    assert "segmentation is text, and must be a list; left out" in text
    assert "bbox is text, and must be a list" in text
    assert len(items[0].annotations) == 2


def test_a_group_of_the_others_that_nothing_is_of_is_left_out(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "dog", "supercategory": "animals"},
        {"id": 2, "name": "cat", "supercategory": "animals"},
    ]
    source, _ = _read(tmp_path, _document("a.jpg", {}, categories=categories))
    assert [(c.name, c.supercategory) for c in source.classes] == [
        ("dog", "animals"),
        ("cat", "animals"),
    ]
    assert reasons(source, []) == {"CATEGORY_UNUSED": 1}
    source, _ = _read(tmp_path, _document("a.jpg", {"category_id": 0}, categories=categories))
    assert [c.name for c in source.classes] == ["animals", "dog", "cat"]


def test_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    categories = [{"id": 4, "name": "car"}, {"id": 9, "name": "car"}, {"id": 5, "name": "bus"}]
    rows = [{"category_id": 9}, {"category_id": 4}, {"category_id": 5}]
    source, (item,) = _read(tmp_path, _document("a.jpg", *rows, categories=categories))
    assert [a["name"] for a in item.annotations] == ["car", "car", "bus"]
    assert [c.name for c in source.classes] == ["car", "bus"]
    assert reasons(source, [item]) == {"CATEGORY_TWICE": 1}


def test_the_shared_roboflow_case() -> None:
    root = shared("import_cases/12-roboflow-same-name") / "train"
    source = read_dataset("coco", root, root)
    (item,) = read_all(source)
    assert [c.name for c in source.classes] == ["fish", "lobster trap"]
    assert [(a["name"], box(a)) for a in item.annotations] == [
        ("fish", (10, 10, 40, 30)),
        ("lobster trap", (60, 10, 40, 30)),
    ]


def test_scalars_become_attributes_and_the_rest_is_named_once(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"track_id": 7, "caption": "a car", "ignore": 1, "extra": {"a": [1], "instance_id": 3}},
        {"ignore": 0, "weather": "", "extra": {}, "vector": [1, 2], "wet": True},
        {"attributes": {"age": 3, "track_id": 1}, "track_id": 2, "vector": [0.5], "f": 0.25},
    ]
    document = _document("a.jpg", *rows, licenses=[{"id": 0, "name": ""}], info={"year": 2024})
    document["images"][0] |= {"license": 3, "coco_url": "", "date_captured": None}
    document["categories"][0] |= {"color": "#A1b2C3", "isthing": 1}
    source, (item,) = _read(tmp_path, document)
    assert [a["attributes"] for a in item.annotations] == [
        {"instance_id": 3, "track_id": 7, "caption": "a car", "ignore": 1},
        {"wet": True},
        {"age": 3, "track_id": 1, "f": 0.25},
    ]
    assert source.classes[0].color == "#a1b2c3"
    text = _issues(source, [item])
    assert [line.partition(", such")[0] for line in text] == [
        "FIELD_LEFT_OUT field 'extra' of annotations: 1 times",
        "FIELD_LEFT_OUT field 'track_id' of annotations: 1 times",
        "FIELD_LEFT_OUT field 'vector' of annotations: 2 times",
        "FIELD_LEFT_OUT field 'isthing' of categories: 1 times",
        "FIELD_LEFT_OUT field 'license' of images: 1 times",
        "FIELD_LEFT_OUT field 'info' of the document: 1 times",
    ]
    # Notes: nothing of images or annotations is left out.
    assert not any(issue.images or issue.annotations for issue in source.issues)


def test_crowds_and_groups_are_the_same_in_an_export(tmp_path: Path) -> None:
    categories = [
        {"id": 1, "name": "person", "supercategory": "human"},
        {"id": 18, "name": "dog", "supercategory": "animal"},
    ]
    mask = {"size": [20, 40], "counts": [42, 10, 10, 10, 728]}
    rows: list[dict[str, Any]] = [
        {"category_id": 18, "iscrowd": 1, "segmentation": mask},
        {"track_id": 7},
    ]
    source, (item,) = _read(tmp_path, _document("a.jpg", *rows, categories=categories))
    exported = info("coco", classes=tuple(source.classes))
    files, _ = assemble(exported, [image(item.annotations, size=(40, 20))])
    document = orjson.loads(files["annotations/instances_default.json"])
    first, second = document["annotations"]
    assert (first["iscrowd"], first["area"], first["attributes"]) == (1, 20, {})
    assert (second["iscrowd"], second["attributes"]) == (0, {"track_id": 7})
    found = [(c["name"], c["supercategory"]) for c in document["categories"]]
    assert found == [("person", "human"), ("dog", "animal")]


def test_too_many_documents_are_those_of_images(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    for number in range(101):
        write_json(tmp_path / "labels" / f"{number}.json", [])
    with pytest.raises(ImportFailed, match="found: 101"):
        read_dataset("coco", tmp_path, tmp_path)


def test_the_folder_of_a_whole_datumaro_export(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.jpg")
    write_image(tmp_path / "annotations" / "panoptic_train" / "a.png")
    folder = tmp_path / "annotations"
    write_json(folder / "instances_train.json", _document("a.jpg", {}))
    write_json(folder / "image_info_train.json", {"images": [{"id": 1, "file_name": "a.jpg"}]})
    write_json(folder / "panoptic_train.json", _document("a.jpg", {"segments_info": []}))
    source = read_dataset("coco", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert (item.path, item.split, len(item.annotations)) == ("images/train/a.jpg", "train", 1)
    # Notes: the list of images repeats them, and the pictures of segments are no images.
    assert reasons(source, [item]) == {"DOCUMENT_LEFT_OUT": 1, "MASKS_LEFT_OUT": 1}
    assert not any(issue.images or issue.annotations for issue in source.issues)


@pytest.mark.parametrize("field", ["path", "coco_url"])
@pytest.mark.parametrize("begin", ["/datasets/x/", "http://images.cocodataset.org/", "C:\\x\\"])
def test_an_image_is_found_by_its_place_where_its_name_says_too_little(
    tmp_path: Path, field: str, begin: str
) -> None:
    """coco-annotator names files alone beside their place; LVIS has nothing but the address."""
    slash = "\\" if "\\" in begin else "/"
    paths = ["a/1.jpg", "b/1.jpg", "b/2.jpg"]
    for path in paths:
        write_image(tmp_path / "images" / path)
    places = [f"{begin}{path.replace('/', slash)}" for path in paths]
    for names in (["1.jpg", "1.jpg", "2.jpg"], [None, None, None]):
        rows = [
            {"id": number, "file_name": name, field: place}
            for number, (name, place) in enumerate(zip(names, places, strict=True))
        ]
        annotations = [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [number, 2, 3, 4]}
            for number in range(3)
        ]
        document = _document("") | {"images": rows, "annotations": annotations}
        file = write_json(tmp_path / "c.json", document)
        items = read_all(read_dataset("coco", tmp_path / "images", file))
        assert {item.path: box(item.annotations[0])[0] for item in items} == {
            path: number for number, path in enumerate(paths)
        }


def test_a_place_never_stands_against_a_name(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "b.jpg")
    document = _document("a.jpg", {})
    document["images"][0]["path"] = "/elsewhere/b.jpg"
    _, (item,) = _read(tmp_path, document)
    assert (item.path, len(item.annotations)) == ("a.jpg", 1)
    document = _document("gone.jpg", {})
    document["images"][0]["path"] = "/elsewhere/b.jpg"
    with pytest.raises(ImportFailed, match="None of the images"):
        _read(tmp_path, document)
