"""Datumaro JSON."""

import json
from typing import Any

from pycocotools import mask as coco_mask

from services.formats.common.geometry import flat
from services.formats.common.masks import even_odd_mask
from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, losses
from tests.unit.formats.samples import HOLE, LINE, PART, SQUARE, every_shape


def test_every_shape() -> None:
    files, rendered = assemble(info("datumaro"), [image(every_shape())])
    value = json.loads(files["annotations/default.json"])
    assert value["media_type"] == 2
    (item,) = value["items"]
    assert item["id"] == "día/1"
    assert item["image"] == {"path": "día/1.jpg", "size": [80, 100]}
    rows: list[dict[str, Any]] = item["annotations"]
    assert [row["type"] for row in rows] == [
        "bbox",
        "polygon",
        "polygon",
        "mask",
        "polygon",
        "polygon",
        "polyline",
        "points",
        "points",
    ]
    assert [row["id"] for row in rows] == list(range(1, 10))
    assert rendered.annotation_count == 9
    assert rows[0]["bbox"] == [1.25, 2, 30.5, 40.75]
    assert rows[0]["attributes"] == {"color": "red", "wheels": 4}
    assert rows[1]["attributes"] == {"score": 0.5, "rotation": 30}
    assert len(rows[1]["points"]) == 8
    assert rows[2]["points"] == flat(SQUARE)
    assert rows[3]["rle"] == {
        "size": [80, 100],
        "counts": even_odd_mask([SQUARE, HOLE], 100, 80).counts,
    }
    assert coco_mask.area(rows[3]["rle"]) == 300
    assert [row["points"] for row in rows[4:6]] == [flat(SQUARE), flat(PART)]
    assert [row["group"] for row in rows] == [0, 0, 0, 0, 5, 5, 0, 0, 0]
    assert rows[6]["points"] == flat(LINE)
    assert rows[7]["points"] == [10, 20, 20, 10, 0, 0]
    assert rows[7]["visibility"] == [2, 1, 0]
    assert (rows[8]["points"], rows[8]["visibility"]) == ([5, 5], [2])
    assert [CLASSES[row["label_id"]].name for row in rows[6:]] == ["lane", "person", "landmark"]
    assert losses(rendered.losses) == {"degraded": ["holes", "parts", "turned"]}


def test_categories_are_the_classes_in_order() -> None:
    files, _ = assemble(info("datumaro", class_filter=("landmark", "person", "car")), [])
    value = json.loads(files["annotations/default.json"])
    labels = value["categories"]["label"]["labels"]
    assert [label["name"] for label in labels] == ["car", "person", "landmark"]
    assert [
        (p["label_id"], p["labels"], p["joints"]) for p in value["categories"]["points"]["items"]
    ] == [
        (1, ["nose", "left eye", "right eye"], [[1, 2], [1, 3]]),
        (2, ["landmark"], []),
    ]
    assert value["items"] == []


def test_each_split_is_a_dataset_of_one_subset() -> None:
    images = [
        image([box("a", 1, 1, 5, 5)], number, number, split=split)
        for number, split in enumerate(("train", "val", "test", None), 1)
    ]
    export = info("datumaro", organize_by_split=True)
    files, _ = assemble(export, images)
    found = {
        folder: [
            item["id"] for item in json.loads(files[f"{folder}/annotations/{folder}.json"])["items"]
        ]
        for folder in ("train", "valid", "test")
    }
    assert found == {"train": ["día/1", "día/4"], "valid": ["día/2"], "test": ["día/3"]}
    path = FORMATS["datumaro"].writer.image_path(images[1], export)
    assert path == "valid/images/valid/día/2.jpg"
