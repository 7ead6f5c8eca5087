"""The manifest, the README and the loss report of every format."""

import json

import pytest

from services.formats.common.loss_report import FIRST_IDS, LossReport
from services.formats.common.losses import NO_AREA
from services.formats.common.writer import Document
from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_manifest_lists_every_image_classes_and_counts(name: str, count: int) -> None:
    images = []
    for n in range(1, count + 1):
        one = keypoint(str(n), "nose", 1, 1) if name == "yolo_pose" else box(str(n), 1, 1, 5, 5)
        images.append(
            image([one], n, n, path=f"{n}.jpg", name=f"{n}.jpg", split=("train", "val")[n % 2])
        )
    files, _ = assemble(info(name, class_filter=("person", "car")), images)
    manifest = json.loads(files["manifest.json"])
    assert manifest["format"] == name
    assert manifest["cartouche_version"] == "1.2.3"
    assert manifest["parameters"]["class_filter"] == ["person", "car"]
    first = FORMATS[name].first_class_id
    assert manifest["classes"] == [
        {"id": first, "name": "car", "position": 0},
        {"id": first + 1, "name": "person", "position": 3},
    ]
    assert [row["id"] for row in manifest["files"]] == [one.id for one in images]
    assert all(path in files for row in manifest["files"] for path in row["annotation_files"])
    assert manifest["image_count"] == manifest["annotation_count"] == count
    lost = [row for rows in manifest["losses"].values() for row in rows]
    # A data.yaml needs images of two splits.
    assert [row for row in lost if row["ids"] != ["data.yaml"]] == []


def test_losses_stand_in_the_manifest_and_the_readme() -> None:
    images = [
        image([box("far", 500, 1, 5, 5)], path="a:b.jpg", name="a_b.jpg"),
        image(number=2),
    ]
    files, _ = assemble(info("coco"), images)
    losses = json.loads(files["manifest.json"])["losses"]
    assert {
        kind: [(row["count"], row["ids"]) for row in rows] for kind, rows in losses.items()
    } == {
        "dropped": [(1, ["far"])],
        "renamed": [(1, ["image-1"])],
        "unannotated": [(1, ["image-2"])],
    }
    readme = files["README.txt"].decode()
    assert "2 images, 0 annotations" in readme
    assert "dropped: 1 (no area on the image)" in readme
    assert "annotations/instances_default.json" in readme
    assert str(len(CLASSES)) in readme


def test_a_report_keeps_the_first_ids_and_every_count() -> None:
    parts = [LossReport() for _ in range(3)]
    for number in range(3 * FIRST_IDS):
        parts[number // FIRST_IDS].add(NO_AREA, str(number))
    whole = LossReport()
    for part in parts:
        whole.merge(LossReport.from_json(json.loads(json.dumps(part.to_json()))))
    assert whole.total("dropped") == 3 * FIRST_IDS
    assert whole.losses["dropped"][NO_AREA.sentence].ids == [str(n) for n in range(FIRST_IDS)]


def test_a_frame_fits_its_sections() -> None:
    with pytest.raises(ValueError, match="one piece more"):
        Document("a.json", ("rows",), (b"",))
