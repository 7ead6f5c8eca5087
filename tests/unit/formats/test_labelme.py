"""LabelMe JSON."""

import json
from base64 import b64decode
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from services.catalog.model import DatasetClass
from tests.unit.formats.archives import assemble, box, image, info, keypoint, losses
from tests.unit.formats.samples import LINE, PART, SQUARE, every_shape


def points(ring: list[tuple[float, float]]) -> list[list[float]]:
    return [list(point) for point in ring]


def test_every_shape() -> None:
    files, rendered = assemble(info("labelme"), [image(every_shape())])
    value = json.loads(files["images/día/1.json"])
    assert value["imagePath"] == "1.jpg"
    assert value["imageData"] is None
    assert (value["imageWidth"], value["imageHeight"]) == (100, 80)
    rows: list[dict[str, Any]] = value["shapes"]
    assert [row["shape_type"] for row in rows] == [
        "rectangle",
        "polygon",
        "polygon",
        "mask",
        "polygon",
        "polygon",
        "linestrip",
        "point",
        "point",
        "point",
    ]
    assert rendered.annotation_count == 10
    assert rows[0]["points"] == [[1.25, 2], [31.75, 42.75]]
    assert rows[0]["attributes"] == {"color": "red", "wheels": 4}
    assert rows[1]["confidence"] == 0.5
    assert rows[2]["flags"] == {"occluded": True}
    assert [row["points"] for row in rows[4:7]] == [points(SQUARE), points(PART), points(LINE)]
    assert [row["group_id"] for row in rows] == [None, None, None, None, 8, 8, None, 7, 7, None]
    assert [row["label"] for row in rows[7:]] == ["nose", "left eye", "landmark"]
    assert [row["id"] for row in rows[4:6]] == ["parts", "parts"]
    assert losses(rendered.losses) == {"degraded": ["holes", "parts", "turned"]}


def test_a_mask_is_a_png_of_its_part() -> None:
    rows = [row for row in every_shape() if row["id"] == "holes"]
    files, _ = assemble(info("labelme"), [image(rows)])
    (shape,) = json.loads(files["images/día/1.json"])["shapes"]
    assert shape["points"] == [[10, 10], [29, 29]]
    expected = np.ones((20, 20), bool)
    expected[5:15, 5:15] = False
    assert np.array_equal(np.asarray(Image.open(BytesIO(b64decode(shape["mask"])))), expected)


def test_labels_follow_the_classes_and_have_every_joint() -> None:
    export = info("labelme", class_filter=("person", "car"))
    files, rendered = assemble(export, [image([keypoint("a", "nose", 1, 1, 1)])])
    assert files["labels.txt"].decode().splitlines() == [
        "__ignore__",
        "_background_",
        "car",
        "person",
        "nose",
        "left eye",
        "right eye",
    ]
    assert rendered.annotation_count == 1


def test_a_label_fits_on_a_line() -> None:
    classes = (DatasetClass("a\nb", "bbox"),)
    row = box("x", 1, 1, 5, 5) | {"name": "a\nb"}
    files, rendered = assemble(info("labelme", classes=classes), [image([row])])
    assert files["labels.txt"].endswith(b"\na b\n")
    assert json.loads(files["images/día/1.json"])["shapes"][0]["label"] == "a b"
    assert losses(rendered.losses) == {"renamed": ["x"]}


def test_each_split_has_its_images_and_labels() -> None:
    files, _ = assemble(info("labelme", organize_by_split=True), [image(split="test")])
    assert json.loads(files["test/images/día/1.json"])["shapes"] == []
    assert {path for path in files if path.endswith("labels.txt")} == {
        f"{folder}/labels.txt" for folder in ("train", "valid", "test")
    }


def test_the_readme_says_that_images_are_needed() -> None:
    for include, said in ((True, False), (False, True)):
        files, _ = assemble(info("labelme", include_images=include), [])
        assert (b"only where its image lies beside it" in files["README.txt"]) == said
