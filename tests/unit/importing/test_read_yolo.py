"""YOLO: boxes, outlines and rotated boxes, in every usual layout."""

import math
import sys
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.formats.common.split_names import SPLIT_WORDS
from services.formats.yolo.names import OTHER_LISTS
from services.importing.dataset import read_dataset
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    rings,
    shared,
    write_image,
    write_text,
)

OTHER_STEMS = [name.removesuffix(".txt") for name in OTHER_LISTS]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems show no such files")


def _one(tmp_path: Path, label: str, names: str = "a\nb\n", orientation: int = 1) -> Path:
    write_image(tmp_path / "images" / "x.jpg", 40, 20, orientation)
    write_text(tmp_path / "labels" / "x.txt", label)
    write_text(tmp_path / "classes.txt", names)
    return tmp_path


def test_boxes_and_outlines(tmp_path: Path) -> None:
    root = _one(
        tmp_path, "0 0.5 0.5 0.25 0.5\n\n1 0 0 1 0 1 1\n0 .1 .2 .1 .2 .75\n1 0 0 1 0 1 1 0 1"
    )
    source = read_dataset("yolo", root / "images", root / "labels")
    (item,) = read_all(source)
    first, outline, sure, four = item.annotations
    assert box(first) == pytest.approx((15, 5, 10, 10))
    assert rings(outline) == [[(0, 0), (40, 0), (40, 20)]]
    assert box(outline) == (0, 0, 40, 20)
    assert sure["confidence"] == 0.75
    assert rings(four) == [[(0, 0), (40, 0), (40, 20), (0, 20)]]
    assert [(c.name, c.type) for c in source.classes] == [("a", "bbox"), ("b", "polygon")]
    assert not reasons(source, [item])


def test_sizes_are_those_of_the_image_as_displayed(tmp_path: Path) -> None:
    root = _one(tmp_path, "0 0.5 0.5 1 1", orientation=6)
    (item,) = read_all(read_dataset("yolo", root / "images", root / "labels"))
    assert box(item.annotations[0]) == (0, 0, 20, 40)


@pytest.mark.parametrize("angle", [0, 30, 89.5, 90, 135, 270, 359])
@pytest.mark.parametrize("clockwise", [True, False])
def test_four_corners_are_a_rotated_box(tmp_path: Path, angle: float, clockwise: bool) -> None:
    write_image(tmp_path / "images" / "x.jpg", 400, 200)
    turn = math.radians(angle)
    corners = [
        (
            200 + x * math.cos(turn) - y * math.sin(turn),
            100 + x * math.sin(turn) + y * math.cos(turn),
        )
        for x, y in ((-30, -10), (30, -10), (30, 10), (-30, 10))
    ]
    if not clockwise:
        corners = [corners[i] for i in (0, 3, 2, 1)]
    words = " ".join(f"{v:.9f}" for x, y in corners for v in (x / 400, y / 200))
    write_text(tmp_path / "labels" / "x.txt", f"0 {words}\n")
    write_text(tmp_path / "labels" / "classes.txt", "ship\n")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    (item,) = read_all(source)
    turned = item.annotations[0]["oriented_box"]
    assert (turned["cx"], turned["cy"]) == pytest.approx((200, 100), abs=1e-5)
    assert (turned["w"], turned["h"]) == pytest.approx((60, 20), abs=1e-5)
    assert math.cos(math.radians(turned["angle"]) - turn) == pytest.approx(1, abs=1e-9)
    assert source.classes[0].type == "bbox"
    assert not reasons(source, [item])


def test_corners_that_are_not_square(tmp_path: Path) -> None:
    root = _one(
        tmp_path, "0 0 0 .5 0 .5 .5 0.01 .5\n0 0 0 .5 0 .9 .9 0 .5\n0 .1 .1 .1 .1 .2 .2 .2 .2"
    )
    source = read_dataset("yolo", root / "images", root / "labels")
    (item,) = read_all(source)
    squared, kept = item.annotations
    assert "oriented_box" in squared
    assert rings(kept) == [[(0, 0), (20, 0), (36, 18), (0, 10)]]
    assert reasons(source, [item]) == {
        "CORNERS_SQUARED": 1,
        "CORNERS_NOT_SQUARE": 1,
        "BOX_WITHOUT_AREA": 1,
    }


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    root = _one(
        tmp_path,
        "2 .5 .5 .1 .1\n-1 .5 .5 .1 .1\ndog .5 .5 .1 .1\n0 .5 .5 .1\n0 .5 .5 0 .1\n"
        "0 .5 .5 nan .1\n0 .5 x .1 .1\n0 320 240 20 20\n0 0 0 1 1 .5 .5 .5\n"
        "0 .5 .5 .1 .1 1.7\n0.0 .5 .5 .1 .1",
    )
    write_image(root / "images" / "negative.jpg")
    write_text(root / "images" / "broken.jpg", "no image")
    write_text(root / "labels" / "broken.txt", "0 .5 .5 .1 .1")
    write_text(root / "labels" / "orphan.txt", "0 .5 .5 .1 .1")
    source = read_dataset("yolo", root / "images", root / "labels")
    items = read_all(source)
    assert {item.path: len(item.annotations) for item in items} == {
        "broken.jpg": 0,
        "negative.jpg": 0,
        "x.jpg": 1,
    }
    assert reasons(source, items) == {
        "CLASS_OUT_OF_RANGE": 2,
        "LINE_UNREADABLE": 6,
        "BOX_WITHOUT_AREA": 1,
        "NOT_NORMALIZED": 1,
        "IMAGE_UNREADABLE": 1,
        "IMAGE_FILE_MISSING": 1,
    }
    assert items[2].issues[0].item == "x.txt, line 1"


@pytest.mark.parametrize(
    ("image", "label", "images", "annotations"),
    [
        ("images/train/x.jpg", "labels/train/x.txt", "", ""),
        ("images/train/x.jpg", "labels/train/x.txt", "", "data.yaml"),
        ("images/train/x.jpg", "labels/train/x.txt", "images", "labels"),
        ("images/train/x.jpg", "labels/train/x.txt", "images", ""),
        ("images/train/x.jpg", "labels/train/x.txt", "images/train", "labels"),
        ("images/train/x.jpg", "labels/train/x.txt", "images/train", "labels/train"),
        ("train/images/x.jpg", "train/labels/x.txt", "", ""),
        ("train/images/x.jpg", "train/labels/x.txt", "train/images", "train/labels"),
        ("train/images/x.jpg", "train/labels/x.txt", "train/images", "data.yaml"),
        ("images/train/x.jpg", "labels/x.txt", "images", "labels"),
        ("images/train/x.jpg", "images/train/x.txt", "images", ""),
    ],
)
def test_layouts(tmp_path: Path, image: str, label: str, images: str, annotations: str) -> None:
    write_image(tmp_path / image)
    write_text(tmp_path / label, "7 .5 .5 .5 .5\n")
    folder = Path(image).parent.as_posix()
    write_text(
        tmp_path / "data.yaml", f"path: .\ntrain: {folder}\nval: none\nnames:\n  7: car\n  3: van\n"
    )
    source = read_dataset("yolo", tmp_path / images, tmp_path / annotations)
    (item,) = read_all(source)
    assert [a["name"] for a in item.annotations] == ["car"]
    assert [c.name for c in source.classes] == ["van", "car"]
    assert item.split == "train"
    assert item.path == Path(image).relative_to(images).as_posix()
    assert not source.issues


def test_split_lists_in_data_yaml(tmp_path: Path) -> None:
    root = _one(tmp_path, "0 .5 .5 .5 .5")
    write_text(root / "data.yaml", "names: [a]\ntest: lists/test.txt\n")
    write_text(root / "lists" / "test.txt", "../images/x.jpg\n")
    (item,) = read_all(read_dataset("yolo", root / "images", root))
    assert item.split == "test"


@pytest.mark.parametrize("key", [*SPLIT_WORDS, "Val", "TRAIN", "Validation"])
@pytest.mark.parametrize("entry", ["images", "/somebody/set/own/images", "list.txt", "[images]"])
def test_data_yaml_may_call_a_split_by_any_word_for_it(
    tmp_path: Path, key: str, entry: str
) -> None:
    root = tmp_path / "own"
    write_image(root / "images" / "x.jpg")
    write_text(root / "labels" / "x.txt", "0 .5 .5 .5 .5")
    write_text(root / "list.txt", "./images/x.jpg\n")
    write_text(root / "data.yaml", f"{key}: {entry}\nnames: [a]\n")
    source = read_dataset("yolo", root, root)
    assert [item.split for item in read_all(source)] == [SPLIT_WORDS[key.lower()]]
    assert not source.issues


@pytest.mark.parametrize("stem", [*SPLIT_WORDS, "classes", "names", *OTHER_STEMS])
def test_an_image_may_be_called_like_a_list(tmp_path: Path, stem: str) -> None:
    """Its label file is no list then, in any layout."""
    for images, labels in (("images/", "labels/"), ("", "")):
        root = tmp_path / (images or "beside")
        write_image(root / images / f"{stem}.jpg")
        write_text(root / labels / f"{stem}.txt", "1 .5 .5 .5 .5\n")
        write_text(root / "data.yaml", "names: [a, b]\n")
        source = read_dataset("yolo", root, root)
        (item,) = read_all(source)
        assert [annotation["name"] for annotation in item.annotations] == ["b"]
        assert not source.issues


def test_an_image_may_be_named_in_data_yaml_itself(tmp_path: Path) -> None:
    root = _one(tmp_path, "0 .5 .5 .5 .5")
    write_text(root / "data.yaml", "names: [a]\ntrain: [images/x.jpg]\n")
    source = read_dataset("yolo", root / "images", root)
    assert [(item.path, item.split) for item in read_all(source)] == [("x.jpg", "train")]
    assert source.issues == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("list.txt", "is not UTF-8"),
        pytest.param("/proc/kmsg", "is a file of the system itself", marks=LINUX),
        pytest.param("link.txt", "is a file of the system itself", marks=LINUX),
    ],
)
def test_a_list_that_cannot_be_read_ends_no_import(tmp_path: Path, listing: str, said: str) -> None:
    """A kernel's log keeps whoever reads it waiting for ever."""
    root = _one(tmp_path, "0 .5 .5 .5 .5")
    (root / "list.txt").write_bytes(b"\xe4.jpg\n")
    (root / "link.txt").symlink_to("/proc/self/maps")
    write_text(root / "data.yaml", f"names: [a]\nval: {listing}\ntest: images\n")
    source = read_dataset("yolo", root / "images", root)
    assert [(item.path, item.split) for item in read_all(source)] == [("x.jpg", "test")]
    (issue,) = source.issues
    assert issue.reason == "SPLIT_LIST_UNREADABLE"
    assert said in issue.message


def test_a_class_list_beside_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _one(tmp_path, "0 .5 .5 .5 .5")
    (root / "classes.txt").unlink()
    write_text(root / "labels.config.yaml", "names: [cat]")
    monkeypatch.chdir(root / "labels")
    source = read_dataset("yolo", root / "images", Path("."))
    assert [c.name for c in source.classes] == ["cat"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("data.yaml", "names: [a, a]", "twice"),
        ("data.yaml", "names: {a: b}", "whole number"),
        ("data.yaml", "train: x", "names"),
        ("data.yaml", "{", "not YAML"),
        ("data.yaml", "names: [a]\nkpt_shape: [17, 3]", "poses"),
        ("classes.txt", "", "no class"),
        ("classes.txt", "a\n\nb\n", "class 1"),
        ("obj.names", "a" * 121, "120"),
    ],
)
def test_a_bad_class_list_is_a_clear_error(
    tmp_path: Path, file: str, text: str, words: str
) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    write_text(tmp_path / "labels" / "x.txt", "0 .5 .5 .5 .5")
    write_text(tmp_path / file, text)
    with pytest.raises(ImportFailed, match=words):
        read_dataset("yolo", tmp_path / "images", tmp_path / "labels")


def test_without_class_list_or_labels(tmp_path: Path) -> None:
    write_image(tmp_path / "data" / "images" / "x.jpg")
    (tmp_path / "data" / "labels").mkdir()
    with pytest.raises(ImportFailed, match=r"classes\.txt"):
        read_dataset("yolo", tmp_path / "data" / "images", tmp_path / "data" / "labels")
    write_text(tmp_path / "data" / "classes.txt", "a\n")
    with pytest.raises(ImportFailed, match="no label file"):
        read_dataset("yolo", tmp_path / "data" / "images", tmp_path / "data" / "labels")


@pytest.mark.parametrize(
    ("task", "kind"), [("object_detection", "bbox"), ("instance_segmentation", "polygon")]
)
def test_coco_cc(task: str, kind: str) -> None:
    root = shared("coco_cc")
    source = read_dataset("yolo", root / "images", root / task)
    items = read_all(source)
    lines = [line for f in (root / task).rglob("*.txt") for line in f.read_text().splitlines()]
    annotations = [annotation for item in items for annotation in item.annotations]
    assert len(annotations) == len(lines)
    assert {annotation["type"] for annotation in annotations} == {kind}
    assert {item.split for item in items} == {"train", "val"}
    assert not reasons(source, items)
