"""Pascal VOC."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.model import DatasetClass
from services.formats.common.writer import Rendered
from tests.unit.formats.archives import assemble, box, image, info, losses
from tests.unit.formats.samples import every_shape

ROOT = "VOCdevkit/VOC2012/"


def boxes(text: bytes) -> list[tuple[int, ...]]:
    return [
        tuple(int(one.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax"))
        for one in ElementTree.fromstring(text).iterfind("object")
    ]


def export(*rows: dict[str, object]) -> tuple[ElementTree.Element, Rendered, bytes]:
    files, rendered = assemble(info("pascal_voc"), [image(rows, name="a.jpg")])
    text = files[f"{ROOT}Annotations/a.xml"]
    return ElementTree.fromstring(text), rendered, text


def test_every_shape() -> None:
    root, rendered, text = export(*every_shape())
    assert root.findtext("filename") == "a.jpg"
    assert [root.findtext(f"size/{key}") for key in ("width", "height", "depth")] == [
        "100",
        "80",
        "3",
    ]
    assert boxes(text) == [
        (1, 2, 32, 43),
        (39, 31, 61, 49),
        (10, 10, 30, 30),
        (10, 10, 30, 30),
        (10, 10, 70, 30),
        (10, 10, 20, 20),
    ]
    found = root.findall("object")
    assert [one.findtext("occluded") for one in found] == ["0", "0", "1", "0", "0", "0"]
    assert [
        (one.findtext("name"), one.findtext("value"))
        for one in found[0].iterfind("attributes/attribute")
    ] == [("color", "red"), ("wheels", "4")]
    assert found[5].findtext("name") == "person"
    assert rendered.annotation_count == 6
    assert losses(rendered.losses) == {
        "degraded": ["box", "holes", "joint 1", "parts", "plain", "turned", "turned"],
        "dropped": ["line", "point"],
        "renamed": ["image-1"],
    }


def test_a_box_has_a_pixel_at_least() -> None:
    _, rendered, text = export(
        box("tiny", 10.1, 10.1, 0.2, 0.2), box("corner", 99.7, 79.6, 0.3, 0.4), box("a", 1, 1, 2, 2)
    )
    assert boxes(text) == [(10, 10, 11, 11), (99, 79, 100, 80), (1, 1, 3, 3)]
    assert losses(rendered.losses)["degraded"] == ["corner", "tiny"]


def test_what_reaches_over_the_edge_is_truncated() -> None:
    root, rendered, text = export(box("over", -10, 70, 30, 30), box("a", 1, 1, 2, 2))
    assert boxes(text)[0] == (0, 70, 20, 80)
    assert [one.findtext("truncated") for one in root.findall("object")] == ["1", "0"]
    assert losses(rendered.losses)["clamped"] == ["over"]


@given(st.text(min_size=1).filter(lambda text: text.strip()), st.text())
def test_any_class_name_and_attribute_is_read_back(name: str, value: str) -> None:
    classes = (DatasetClass(name, "bbox"),)
    row = box("a", 1, 1, 5, 5, attributes={"what": value}) | {"name": name}
    files, rendered = assemble(info("pascal_voc", classes=classes), [image([row], name="a.jpg")])
    found = ElementTree.fromstring(files[f"{ROOT}Annotations/a.xml"]).find("object")
    assert found is not None
    if "renamed" in losses(rendered.losses) and len(losses(rendered.losses)["renamed"]) > 1:
        assert found.findtext("name") != name
    else:
        assert found.findtext("name") == name


@pytest.mark.parametrize(
    ("name", "path"), [("small car", "labelmap.txt"), ("a:b", "dataset_meta.json")]
)
def test_classes_stand_in_a_file_that_holds_their_names(name: str, path: str) -> None:
    classes = (DatasetClass(name, color="#ff8000"), DatasetClass("z", color="red"))
    files, _ = assemble(info("pascal_voc", classes=classes), [])
    text = files[ROOT + path]
    if path.endswith(".json"):
        value = json.loads(text)
        assert value["label_map"] == {"0": name, "1": "z"}
        assert value["segmentation_colors"] == [[255, 128, 0], [128, 128, 128]]
    else:
        assert text == b"small car:255,128,0::\nz:128,128,128::\n"


def test_lists_have_every_image_with_and_without_annotations() -> None:
    images = [image([box("a", 1, 1, 5, 5)]), image(number=2)]
    files, _ = assemble(info("pascal_voc"), images)
    lists = {path: text for path, text in files.items() if "ImageSets" in path}
    assert lists == {
        f"{ROOT}ImageSets/Main/{name}.txt": "día_1~1\ndía_2~2\n".encode()
        for name in ("train", "trainval")
    }
    assert f"{ROOT}Annotations/día_2~2.xml" in files


def test_each_split_is_a_devkit() -> None:
    images = [
        image([], number, split=split, name=f"{number}.jpg")
        for number, split in enumerate(("train", "val", "test", None), 1)
    ]
    files, _ = assemble(info("pascal_voc", organize_by_split=True), images)
    lists = {path: text.decode() for path, text in files.items() if "ImageSets" in path}
    assert lists == {
        f"train/{ROOT}ImageSets/Main/train.txt": "1\n4\n",
        f"train/{ROOT}ImageSets/Main/trainval.txt": "1\n4\n",
        f"valid/{ROOT}ImageSets/Main/val.txt": "2\n",
        f"valid/{ROOT}ImageSets/Main/trainval.txt": "2\n",
        f"test/{ROOT}ImageSets/Main/test.txt": "3\n",
    }
