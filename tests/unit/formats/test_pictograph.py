"""Pictograph archives: annotations as they came in."""

import json
from typing import Any

from hypothesis import given

from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint
from tests.unit.formats.generated import annotation_lists


@given(annotation_lists())
def test_annotations_pass_through_as_they_are(annotations: list[dict[str, Any]]) -> None:
    one = image(annotations)
    files, rendered = assemble(info("pictograph"), [one])
    text = files["annotations/día/1.jpg.json"]
    assert text.endswith(b'"annotations":' + one.annotations + b"}\n")
    assert json.loads(text)["annotations"] == annotations
    assert rendered.annotation_count == len(annotations)


def test_bytes_are_kept_that_a_parser_would_change() -> None:
    raw = b'[ {"id":"a","name":"car","type":"bbox","bounding_box":{"x":1.50,"y":2e0,"w":1,"h":1}}]'
    files, rendered = assemble(info("pictograph"), [image(annotations=raw, annotation_count=1)])
    assert raw in files["annotations/día/1.jpg.json"]
    assert rendered.annotation_count == 1


def test_the_image_block() -> None:
    one = image([], split="val", path="a/b/c.jpg", name="a/b/c.jpg")
    files, _ = assemble(info("pictograph", organize_by_split=True), [one])
    assert json.loads(files["valid/annotations/a/b/c.jpg.json"]) == {
        "image": {
            "id": "image-1",
            "path": "a/b/c.jpg",
            "filename": "c.jpg",
            "folder": "/a/b",
            "file": "valid/images/a/b/c.jpg",
            "status": "complete",
            "split": "val",
            "width": 100,
            "height": 80,
            "size": 1000,
            "sha256": "0" * 64,
        },
        "annotations": [],
    }


def test_a_class_filter_leaves_other_classes_out() -> None:
    annotations = [box("a", 1, 1, 5, 5), keypoint("b", "nose", 1, 1, 1), box("c", 1, 1, 2, 2)]
    annotations[2]["name"] = "nose"
    files, rendered = assemble(info("pictograph", class_filter=("person",)), [image(annotations)])
    assert json.loads(files["annotations/día/1.jpg.json"])["annotations"] == [annotations[1]]
    assert rendered.annotation_count == 1
    dataset = json.loads(files["dataset.json"])
    assert [(c["id"], c["name"]) for c in dataset["classes"]] == [(0, "person")]


def test_the_dataset_file_has_classes_and_skeletons() -> None:
    files, _ = assemble(info("pictograph"), [])
    dataset = json.loads(files["dataset.json"])
    assert dataset["dataset"] == {"id": "dataset", "name": "Straßen"}
    assert [{k: v for k, v in c.items() if k != "id"} for c in dataset["classes"]] == [
        c.to_json() for c in CLASSES
    ]
