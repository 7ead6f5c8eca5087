"""CVAT for images 1.1."""

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from services.catalog.model import ClassAttribute, DatasetClass
from services.formats.common.writer import Rendered
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint, losses
from tests.unit.formats.samples import LINE, SQUARE, every_shape


def export(*rows: dict[str, Any], **fields: Any) -> tuple[ElementTree.Element, Rendered]:
    files, rendered = assemble(info("cvat", **fields), [image(rows)])
    return ElementTree.fromstring(files["annotations.xml"]), rendered


def points(element: ElementTree.Element) -> list[tuple[float, ...]]:
    return [tuple(map(float, pair.split(","))) for pair in element.attrib["points"].split(";")]


def test_every_shape() -> None:
    root, rendered = export(*every_shape())
    one = root.find("image")
    assert one is not None
    assert one.attrib == {"id": "0", "name": "día/1.jpg", "width": "100", "height": "80"}
    assert [shape.tag for shape in one] == [
        "box",
        "box",
        "polygon",
        "mask",
        "polygon",
        "polygon",
        "polyline",
        "skeleton",
        "points",
    ]
    assert rendered.annotation_count == 9
    edges = ("xtl", "ytl", "xbr", "ybr")
    assert [float(one[0].attrib[key]) for key in edges] == [1.25, 2, 31.75, 42.75]
    assert {a.attrib["name"]: a.text for a in one[0]} == {"color": "red", "wheels": "4"}
    assert "rotation" not in one[0].attrib
    assert [float(one[1].attrib[key]) for key in (*edges, "rotation")] == [40, 35, 60, 45, 30]
    assert points(one[2]) == SQUARE
    assert [one[2].attrib["occluded"], one[3].attrib["occluded"]] == ["1", "0"]
    assert [shape.attrib.get("group_id") for shape in one[2:6]] == [None, None, "5", "5"]
    assert points(one[6]) == LINE
    assert one[7].attrib["label"] == "person"
    assert [
        (p.attrib["label"], p.attrib["outside"], p.attrib["occluded"], points(p)) for p in one[7]
    ] == [
        ("nose", "0", "0", [(10, 20)]),
        ("left eye", "0", "1", [(20, 10)]),
        ("right eye", "1", "0", [(0, 0)]),
    ]
    assert points(one[8]) == [(5, 5)]
    assert losses(rendered.losses) == {"degraded": ["box", "holes", "parts", "turned"]}


def test_a_mask_is_runs_along_the_rows_of_its_part() -> None:
    root, _ = export(*[row for row in every_shape() if row["id"] == "holes"])
    mask = root.find("image/mask")
    assert mask is not None
    runs = list(map(int, mask.attrib["rle"].split(",")))
    place = [int(mask.attrib[key]) for key in ("left", "top", "width", "height")]
    assert place == [10, 10, 20, 20]
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).reshape(20, 20)
    expected = np.ones((20, 20), int)
    expected[5:15, 5:15] = 0
    assert np.array_equal(pixels, expected)


def test_labels_declare_attributes_and_skeletons() -> None:
    attributes = (
        ClassAttribute("color", "select", ("red", "a<b")),
        ClassAttribute("wet", "checkbox"),
        ClassAttribute("age", "number"),
    )
    classes = (DatasetClass("car & van", "bbox", "#ff0000", attributes), *CLASSES[3:4])
    root, rendered = export(
        box("a", 1, 1, 5, 5, attributes={"color": "a<b", "wet": True}) | {"name": "car & van"},
        classes=classes,
    )
    labels = root.findall("meta/task/labels/label")
    assert [(one.findtext("name"), one.findtext("type")) for one in labels] == [
        ("car & van", "any"),
        ("person", "skeleton"),
        ("nose", "points"),
        ("left eye", "points"),
        ("right eye", "points"),
    ]
    assert [one.findtext("parent") for one in labels] == [None, None, *["person"] * 3]
    assert [
        (one.findtext("name"), one.findtext("input_type"), one.findtext("values"))
        for one in labels[0].iterfind("attributes/attribute")
    ] == [
        ("color", "select", "red\na<b"),
        ("wet", "checkbox", "false\ntrue"),
        ("age", "text", ""),
    ]
    drawing = ElementTree.fromstring(f"<svg>{labels[1].findtext('svg')}</svg>")
    assert [one.tag for one in drawing] == ["line", "line", "circle", "circle", "circle"]
    assert rendered.losses.losses == {}


def test_an_attribute_that_no_class_declares_is_written_and_reported() -> None:
    root, rendered = export(box("a", 1, 1, 5, 5, attributes=["night\x00\n"]))
    attribute = root.find("image/box/attribute")
    assert attribute is not None
    assert (attribute.attrib["name"], attribute.text) == ("night\n", "true")
    assert losses(rendered.losses) == {"degraded": ["a"]}


def test_another_shape_of_a_class_with_a_skeleton_is_written_and_reported() -> None:
    root, rendered = export(keypoint("a", "person", 5, 5))
    assert [one.tag for one in root.findall("image/*")] == ["points"]
    assert losses(rendered.losses) == {"degraded": ["a"]}


@pytest.mark.parametrize("count", [0, 3])
def test_images_without_annotations_are_there(count: int) -> None:
    files, _ = assemble(info("cvat"), [image(number=n) for n in range(1, count + 1)])
    root = ElementTree.fromstring(files["annotations.xml"])
    assert [one.attrib["id"] for one in root.findall("image")] == [str(n) for n in range(count)]


def test_each_split_is_a_task() -> None:
    images = [
        image([box("a", 1, 1, 5, 5)], number, number, split=split)
        for number, split in enumerate(("train", "val", "test", None), 1)
    ]
    files, _ = assemble(info("cvat", organize_by_split=True), images)
    found = {
        folder: [
            one.attrib["name"]
            for one in ElementTree.fromstring(files[f"{folder}/annotations.xml"]).iter("image")
        ]
        for folder in ("train", "valid", "test")
    }
    assert found == {
        "train": ["día/1.jpg", "día/4.jpg"],
        "valid": ["día/2.jpg"],
        "test": ["día/3.jpg"],
    }
