"""Crowds and supercategories: the same again in COCO, a reported loss in other formats."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from services.catalog.model import ClassAttribute, DatasetClass
from services.formats.common.losses import CROWD_AS_OBJECT
from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, annotation, assemble, box, image, info, polygon

SQUARE = [(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)]
HOLE = [(15.0, 15.0), (25.0, 15.0), (25.0, 25.0), (15.0, 25.0)]
YES = {"iscrowd": "true", "age": 3}
DOCUMENTS = {
    "coco": "annotations/instances_default.json",
    "roboflow_coco": "train/_annotations.coco.json",
}
#: Formats in which an area is a crowd, and those that have no areas.
KEEP = {*DOCUMENTS, "pictograph"}
WITHOUT_AREAS = {"yolo_pose"}


def _rows(name: str, *annotations: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    files, rendered = assemble(info(name), [image(annotations)])
    return orjson.loads(files[DOCUMENTS[name]])["annotations"], rendered.losses.losses


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_crowd_is_a_crowd_in_coco(name: str) -> None:
    rows, found = _rows(
        name,
        polygon("ring", SQUARE, attributes=YES),
        polygon("holes", SQUARE, HOLE, attributes=YES),
        box("box", 1, 2, 3, 4, attributes=YES),
        polygon("no", SQUARE, attributes={"iscrowd": "false"}),
        polygon("list", SQUARE, attributes=["iscrowd"]),
    )
    assert [row["iscrowd"] for row in rows] == [1, 1, 1, 0, 1]
    assert [row["area"] for row in rows] == [400, 300, 12, 400, 400]
    assert [type(row["segmentation"]) for row in rows] == [dict, dict, list, list, dict]
    assert [row["attributes"] for row in rows] == [{"age": 3}] * 3 + [{}, {}]
    assert "degraded" not in found


@pytest.mark.parametrize("name", FORMATS.keys() - KEEP - WITHOUT_AREAS)
def test_a_crowd_is_a_loss_elsewhere(name: str) -> None:
    annotations = [polygon("crowd", SQUARE, attributes=YES), box("plain", 1, 2, 30, 40)]
    _, rendered = assemble(info(name), [image(annotations)])
    found = {loss.code: loss.ids for loss in rendered.losses.losses["degraded"].values()}
    assert found["crowd.as_object"] == ["crowd"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_preview_foresees_crowds_where_a_class_declares_them(name: str) -> None:
    crowded = replace(CLASSES[0], attributes=(ClassAttribute("iscrowd"),))
    format_ = FORMATS[name]
    expected = name not in KEEP | WITHOUT_AREAS
    assert (CROWD_AS_OBJECT in format_.losses_of((crowded,))) is expected
    assert CROWD_AS_OBJECT not in format_.losses_of(CLASSES)


def test_no_joint_is_a_crowd() -> None:
    lone = annotation("keypoint", "k", "landmark", keypoint={"x": 1, "y": 2}, attributes=YES)
    _, rendered = assemble(info("labelme"), [image([lone])])
    assert not rendered.losses.losses


def test_joints_of_a_crowd_are_one_in_coco() -> None:
    joints = [
        annotation("keypoint", name, name, keypoint={"x": 1, "y": 2}, instance_id=1, attributes=YES)
        for name in ("nose", "left eye")
    ]
    rows, _ = _rows("coco", *joints)
    assert [(row["iscrowd"], row["attributes"]) for row in rows] == [(1, {"age": 3})]


def test_supercategories() -> None:
    classes = (
        DatasetClass("dog", supercategory="animal"),
        DatasetClass("animal", supercategory="thing"),
        DatasetClass("stone"),
    )
    for name, expected in (
        ("coco", ["animal", "thing", ""]),
        # RF-DETR takes a category that another has for its supercategory for a group.
        ("roboflow_coco", ["", "thing", ""]),
    ):
        files, _ = assemble(info(name, classes=classes), [image()])
        categories = orjson.loads(files[DOCUMENTS[name]])["categories"]
        assert [category["supercategory"] for category in categories] == expected
    files, _ = assemble(info("pictograph", classes=classes), [image()])
    configured = orjson.loads(files["dataset.json"])["classes"]
    assert [DatasetClass.from_json(item) for item in configured] == [*classes]
