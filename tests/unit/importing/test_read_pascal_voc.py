"""Pascal VOC: values as they stand, rotated boxes, classes in order, named skips."""

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportOptions, read_dataset
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    shared,
    write_image,
    write_text,
)


def _object(name: str, box: str, rest: str = "") -> str:
    return f"<object><name>{name}</name>{rest}{box}</object>"


def _bndbox(xmin: object, ymin: object, xmax: object, ymax: object) -> str:
    return (
        f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"
    )


def _write(root: Path, name: str, *objects: str, filename: str = "") -> None:
    write_text(
        root / "Annotations" / name,
        f"<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>",
    )


def test_values_and_attributes_are_kept(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    flags = (
        "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>"
        "<attributes><attribute><name>colour</name><value>red</value></attribute></attributes>"
    )
    _write(
        tmp_path,
        "a.xml",
        _object("dog", _bndbox(1, 2.5, 10, 20), flags),
        _object("cat", _bndbox(-3, 0, 4, 1), "<pose>Unspecified</pose>"),
    )
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    (item,) = read_all(source)
    dog, cat = item.annotations
    assert (item.path, item.status, item.split) == ("a.jpg", "new", None)
    assert [c.name for c in source.classes] == ["dog", "cat"]
    assert box(dog) == (1, 2.5, 9, 17.5)
    assert dog["attributes"] == {
        "colour": "red",
        "pose": "Left",
        "truncated": "true",
        "occluded": "true",
    }
    assert box(cat) == (-3, 0, 7, 1)
    assert cat["attributes"] == []
    assert reasons(source, [item]) == {"OVER_THE_EDGE": 1}


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "deep/c.jpg"):
        write_image(tmp_path / "images" / name)
    _write(
        tmp_path,
        "a.xml",
        _object("dog", _bndbox(5, 5, 5, 5)),
        _object("dog", _bndbox(9, 5, 3, 8)),
        _object("dog", _bndbox("x", 5, 6, 7)),
        _object("dog", _bndbox("nan", 5, 6, 7)),
        _object("dog", ""),
        _object(" ", _bndbox(1, 1, 2, 2)),
        _object("dog", _bndbox(1, 1, 2, 2), "<part><name>head</name></part>"),
    )
    _write(tmp_path, "b.xml")
    _write(tmp_path, "other.xml", filename="b.jpg")
    _write(tmp_path, "missing.xml", filename="missing.jpg")
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    items = read_all(source)
    assert [len(item.annotations) for item in items] == [1, 0, 0]
    assert reasons(source, items) == {
        "BOX_WITHOUT_AREA": 2,
        "BOX_UNREADABLE": 2,
        "BOX_MISSING": 1,
        "CLASS_MISSING": 1,
        "PART_LEFT_OUT": 1,
        "IMAGE_LISTED_TWICE": 1,
        "IMAGE_FILE_MISSING": 1,
        "NO_ANNOTATION_FILE": 1,
    }
    assert items[0].issues[0].item == "a.jpg, object 1"


def test_objects_where_nobody_looks_for_them_are_left_out_by_count(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    objects = _object("dog", _bndbox(1, 1, 5, 5)), _object("dog", _bndbox(2, 2, 5, 5))
    part = "<part><name>head</name>" + _bndbox(1, 1, 2, 2) + "</part>"
    _write(
        tmp_path,
        "a.xml",
        _object("dog", _bndbox(1, 1, 3, 3) + _bndbox(3, 3, 6, 6) + _bndbox(4, 4, 6, 6), part),
        f"<objects>{''.join(objects)}</objects>",
        objects[0].replace("object>", "Object>"),
        f"<item>{_bndbox(1, 1, 2, 2)}{part}</item>",
        "<camera><lens>wide</lens></camera>",
    )
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    (item,) = read_all(source)
    assert [box(a)[:2] for a in item.annotations] == [(1, 1)]
    assert {issue.reason: issue.annotations for issue in item.issues} == {
        "PART_LEFT_OUT": 0,
        "BOX_TWICE": 2,
        "OBJECT_UNREADABLE": 4,
    }
    assert [issue.item for issue in source.issues] == ["<camera> of files"]


def test_images_are_found_by_stem_or_by_the_name_inside(tmp_path: Path) -> None:
    for name in ("same.jpg", "same.png", "deep/part.jpg", "é.jpg"):
        write_image(tmp_path / "images" / name)
    _write(tmp_path, "same.xml", _object("dog", _bndbox(0, 0, 1, 1)), filename="same.png")
    _write(tmp_path, "part.xml", _object("dog", _bndbox(0, 0, 2, 1)), filename="stale.jpg")
    _write(tmp_path, "x.xml", _object("dog", _bndbox(0, 0, 3, 1)), filename="C:\\é.jpg")
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    found = {item.path: [box(a)[2] for a in item.annotations] for item in read_all(source)}
    assert found == {"same.jpg": [], "same.png": [1], "deep/part.jpg": [2], "é.jpg": [3]}


def test_a_labelmap_gives_order_and_colours(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    _write(tmp_path, "a.xml", _object("new", _bndbox(0, 0, 1, 1)))
    write_text(tmp_path / "labelmap.txt", "# label:color_rgb\nbackground:0,0,0::\nz:1,2,255::\na\n")
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    assert [c.name for c in source.classes] == ["z", "a", "new"]
    assert source.classes[0].color == "#0102ff"


@pytest.mark.parametrize("text", ["<annotation>", "", "<html></html>", "\x00"])
def test_an_unreadable_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    write_text(tmp_path / "Annotations" / "a.xml", text)
    with pytest.raises(ImportFailed, match=r"a\.xml"):
        read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")


def test_bccd() -> None:
    root = shared("bccd")
    source = read_dataset(
        "pascal_voc",
        root / "JPEGImages",
        root / "Annotations",
        ImportOptions(status="complete", split_from=root / "ImageSets" / "Main"),
    )
    items = read_all(source)
    assert len(items) == 364
    assert sum(len(item.annotations) for item in items) == 4886
    assert reasons(source, items) == {"BOX_WITHOUT_AREA": 2}
    assert [c.name for c in source.classes] == ["WBC", "RBC", "Platelets"]
    for split in ("train", "val", "test"):
        listed = (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        assert {i.path.removesuffix(".jpg") for i in items if i.split == split} == set(listed)
    for item in items:
        document = ElementTree.parse(root / "Annotations" / item.path.replace(".jpg", ".xml"))
        expected = []
        for thing in document.iterfind("object/bndbox"):
            x0, y0, x1, y1 = (
                float(thing.findtext(t) or "") for t in ("xmin", "ymin", "xmax", "ymax")
            )
            if x1 > x0 and y1 > y0:
                expected.append((x0, y0, x1, y1))
        found = [(x, y, x + w, y + h) for x, y, w, h in map(box, item.annotations)]
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=1e-6)


def test_hituav_rotated_boxes() -> None:
    root = shared("hituav")
    source = read_dataset("pascal_voc", root / "images", root / "rotate_xml")
    items = read_all(source)
    assert (len(items), sum(len(item.annotations) for item in items)) == (96, 734)
    assert not reasons(source, items)
    for item in items:
        document = ElementTree.parse(root / "rotate_xml" / item.path.replace(".jpg", ".xml"))
        for thing, annotation in zip(
            document.iterfind("object/robndbox"), item.annotations, strict=True
        ):
            numbers = {child.tag: float(child.text or "") for child in thing}
            numbers["angle"] = math.degrees(numbers["angle"])
            assert annotation["oriented_box"] == pytest.approx(numbers, abs=1e-9)
            x, y, w, h = box(annotation)
            assert (x + w / 2, y + h / 2) == pytest.approx((numbers["cx"], numbers["cy"]))
            assert w + h >= numbers["w"] + numbers["h"] - 1e-9


def test_other_text_becomes_attributes_and_the_rest_is_named_once(tmp_path: Path) -> None:
    more = (
        "<track_id>7</track_id><note> wet </note><empty/><pose>Left</pose><type>bndbox</type>"
        "<actions><jumping>1</jumping></actions>"
        "<attributes><attribute><name>note</name><value>dry</value></attribute></attributes>"
    )
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.jpg")
        body = _object("dog", _bndbox(1, 2, 10, 20), more)
        text = f"<annotation><weather>rain</weather><owner/><mood/>{body}</annotation>"
        write_text(tmp_path / "Annotations" / f"{name}.xml", text)
    source = read_dataset("pascal_voc", tmp_path / "images", tmp_path / "Annotations")
    items = read_all(source)
    for item in items:
        assert item.annotations[0]["attributes"] == {"track_id": "7", "note": "dry", "pose": "Left"}
    assert [(issue.reason, issue.item, issue.message[:7]) for issue in source.issues] == [
        ("FIELD_LEFT_OUT", "<actions> of objects", "2 times"),
        ("FIELD_LEFT_OUT", "<weather> of files", "2 times"),
    ]
