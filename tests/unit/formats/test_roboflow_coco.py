"""COCO in the layout that RF-DETR, supervision and Roboflow's tools look for."""

import json
from collections import Counter
from typing import Any

from services.formats.common.losses import FLATTENED
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint

DOCUMENTS = {split: f"{split}/_annotations.coco.json" for split in ("train", "valid", "test")}


def documents(**fields: Any) -> dict[str, dict[str, Any]]:
    images = [
        image([box("a", 1, 1, 5, 5)], 1, 1, path="a/1.jpg", name="a/1.jpg", split="val"),
        image([box("b", 2, 2, 6, 6)], 2, 10, path="b/1.jpg", name="b/1.jpg", split="val"),
        image([keypoint("c", "nose", 3, 3, 1)], 3, 20, path="3.jpg", name="3.jpg"),
    ]
    files, rendered = assemble(info("roboflow_coco", **fields), images)
    assert {path for path in files if path.endswith(".coco.json")} == {*DOCUMENTS.values()}
    reported = rendered.losses.losses["renamed"][FLATTENED.sentence]
    assert (reported.code, reported.count) == ("image.flattened", 2)
    return {split: json.loads(files[path]) for split, path in DOCUMENTS.items()}


def test_every_split_has_a_document_with_every_category() -> None:
    found = documents()
    assert [len(found[split]["images"]) for split in DOCUMENTS] == [1, 2, 0]
    for document in found.values():
        assert [row["name"] for row in document["categories"]] == [c.name for c in CLASSES]
        assert [row["id"] for row in document["categories"]] == [*range(1, len(CLASSES) + 1)]
        # RF-DETR takes a category that another names as its supercategory for a group.
        assert {row["supercategory"] for row in document["categories"]} == {""}


def test_splits_are_folders_whether_asked_for_or_not() -> None:
    assert documents(organize_by_split=True) == documents()


def test_file_names_are_flat_and_unique() -> None:
    names = Counter(
        row["file_name"] for document in documents().values() for row in document["images"]
    )
    assert names == {"a_1~1.jpg": 1, "b_1~2.jpg": 1, "3.jpg": 1}
