"""Layouts and spellings as tools leave them: labels find their images, and images their splits."""

import os
import unicodedata
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.formats.common.split_names import splits_by_folder
from services.importing.dataset import ImportItem, ImportOptions, ImportSource, read_dataset
from tests.unit.importing.dataset_files import box, read_all, reasons, write_image, write_text

ROW = "0 .5 .5 .5 .5\n"
E_ACUTE = "caf\u00e9"


def _yolo(root: Path, files: dict[str, str | None]) -> tuple[ImportSource, list[ImportItem]]:
    """A dataset of these files, those without content being images."""
    for name, text in files.items():
        if text is None:
            write_image(root / name)
        else:
            write_text(root / name, text)
    source = read_dataset("yolo", root, root)
    return source, read_all(source)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/x/images/a.jpg", "images/x/labels/a.txt"),
        ("images/x/images/a.jpg", "labels/x/images/a.txt"),
        ("images/x/images/a.jpg", "labels/x/labels/a.txt"),
        ("train/images/a.jpg", "labels/train/a.txt"),
        ("JPEGImages/a.jpg", "labels/a.txt"),
        ("images/a.jpg", "annotations/a.txt"),
        ("IMAGES/A.JPG", "Labels/a.TXT"),
        ("images/a.jpg", "labels/a.jpg.txt"),
        (
            f"images/{unicodedata.normalize('NFD', E_ACUTE)}.jpg",
            f"labels/{unicodedata.normalize('NFC', E_ACUTE)}.txt",
        ),
        ("deep/er/a.jpg", "labels/a.txt"),
    ],
)
def test_a_label_finds_its_image(tmp_path: Path, image: str, label: str) -> None:
    source, (item,) = _yolo(tmp_path, {image: None, label: ROW, "classes.txt": "car\n"})
    assert len(item.annotations) == 1
    assert not reasons(source, [item])


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/train/a.jpg", "labels/val/a.txt"),
        ("a/images/a.jpg", "b/labels/a.txt"),
        ("images/a.jpg", "labels/ab.txt"),
    ],
)
def test_a_label_of_another_place_is_of_no_image(tmp_path: Path, image: str, label: str) -> None:
    files = {image: None, label: ROW, "classes.txt": "car\n"}
    source, items = _yolo(tmp_path, {**files, "images/z.jpg": None, "labels/z.txt": ROW})
    assert {item.path: len(item.annotations) for item in items} == {image: 0, "images/z.jpg": 1}
    assert sum(issue.annotations for issue in source.issues) == 1


def test_labels_beside_images_count_beside_folders_of_labels(tmp_path: Path) -> None:
    files = {"images/a.jpg": None, "labels/a.txt": ROW, "more/b.jpg": None, "more/b.txt": ROW}
    texts = {"images/a.txt": "a caption\n", "more/c.txt": "2 words\n", "more/c.jpg": None}
    source, items = _yolo(tmp_path, {**files, **texts, "classes.txt": "car\n"})
    assert {item.path: len(item.annotations) for item in items} == {
        "images/a.jpg": 1,
        "more/b.jpg": 1,
        "more/c.jpg": 0,
    }
    assert not reasons(source, items)


def test_a_label_whose_name_is_not_utf8_finds_its_image(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    write_text(tmp_path / "classes.txt", "car\n")
    (tmp_path / "labels").mkdir()
    try:
        (tmp_path / "images" / "a.jpg").rename(tmp_path / "images" / os.fsdecode(b"\xff.jpg"))
    except OSError:
        pytest.skip("the file system takes no such name")
    (tmp_path / "labels" / os.fsdecode(b"\xff.txt")).write_text(ROW)
    source = read_dataset("yolo", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert len(item.annotations) == 1
    assert reasons(source, [item]) == {"NAME_NOT_UTF8": 1}


@pytest.mark.parametrize(
    "row",
    ["0,.5,.5,.5,.5", "0, .5, .5, .5, .5", "0;.5;.5;.5;.5", "0\t.5\t.5\t.5\t.5", "0.0 .5 .5 .5 .5"],
)
def test_numbers_are_set_apart_by_more_than_blanks(tmp_path: Path, row: str) -> None:
    files = {"a.jpg": None, "a.txt": f"{row}\n{row}\r\n", "classes.txt": "car\n"}
    source, (item,) = _yolo(tmp_path, files)
    assert [box(a) for a in item.annotations] == [(10, 5, 20, 10)] * 2
    assert not reasons(source, [item])


@pytest.mark.parametrize("row", ["0 0,5 0,5 0,5 0,5", "0,5 0,5 0,5 0,5 0,5", "0;0,5;0,5;0,5;0,5"])
def test_commas_within_numbers_are_refused(tmp_path: Path, row: str) -> None:
    source, (item,) = _yolo(tmp_path, {"a.jpg": None, "a.txt": row, "classes.txt": "car\n"})
    assert not item.annotations
    assert reasons(source, [item]) == {"LINE_UNREADABLE": 1}


@pytest.mark.parametrize(
    "lists",
    [
        {"coco128.yaml": "names: [car]\n", "docker.yaml": "services: {}\n"},
        {"labels/classes.txt": "car\n"},
        {"images/classes.txt": "car\n", "labels/classes.txt": "car\n"},
        {"config/data.yaml": "names: {0: car}\n"},
    ],
)
def test_a_class_list_may_lie_elsewhere(tmp_path: Path, lists: dict[str, str]) -> None:
    source, (item,) = _yolo(tmp_path, {"images/a.jpg": None, "labels/a.txt": ROW, **lists})
    assert [c.name for c in source.classes] == ["car"]
    assert len(item.annotations) == 1
    assert not reasons(source, [item])


def test_class_lists_that_differ_are_an_error(tmp_path: Path) -> None:
    lists = {"labels/1/classes.txt": "car\n", "labels/2/classes.txt": "van\n"}
    with pytest.raises(ImportFailed, match=r"differ: .*1/classes.txt and .*2/classes.txt; give"):
        _yolo(tmp_path, {"images/a.jpg": None, "labels/a.txt": ROW, **lists})


def test_a_label_file_is_no_class_list(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    label = write_text(tmp_path / "labels" / "a.txt", ROW)
    with pytest.raises(ImportFailed, match="is a label file, and no class list"):
        read_dataset("yolo", tmp_path / "images", label)


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["train/a.jpg", "valid/b.jpg", "c.jpg"], ["train", "val", None]),
        (["images/train2017/a.jpg", "images/Val2017/b.jpg"], ["train", "val"]),
        (["train/images/test/a.jpg", "test/images/train/b.jpg"], ["train", "test"]),
        # One name says nothing.
        (["train/a.jpg", "train/b.jpg", "c.jpg"], [None] * 3),
        (["trainer/a.jpg", "test/train.jpg"], [None] * 2),
    ],
)
def test_folders_say_splits_where_they_differ(paths: list[str], splits: list[str | None]) -> None:
    found = splits_by_folder(paths)
    assert [found.get(path) for path in paths] == splits


@pytest.mark.parametrize("format", ["yolo", "pascal_voc"])
def test_splits_of_folders_count_where_no_list_says_them(tmp_path: Path, format: str) -> None:
    for folder in ("train", "valid"):
        write_image(tmp_path / folder / "a.jpg")
        write_text(tmp_path / folder / "a.txt", ROW)
        write_text(tmp_path / folder / "a.xml", "<annotation/>")
    write_text(tmp_path / "data.yaml", "names: [car]\n")
    source = read_dataset(format, tmp_path, tmp_path)
    items = read_all(source)
    assert [item.split for item in items] == ["train", "val"]
    assert reasons(source, items) == {"SPLITS_BY_FOLDER": 1}
    told = read_dataset(format, tmp_path, tmp_path, ImportOptions(split="test"))
    items = read_all(told)
    assert [item.split for item in items] == ["test"] * 2
    assert not reasons(told, items)


def test_one_folder_for_two_splits_is_named(tmp_path: Path) -> None:
    """Ultralytics' small samples train on what they validate with."""
    yaml = "names: [car]\ntrain: images\nval: images\n"
    files = {"images/a.jpg": None, "labels/a.txt": ROW, "data.yaml": yaml}
    source, (item,) = _yolo(tmp_path, files)
    assert item.split == "train"
    assert reasons(source, [item]) == {"SPLIT_TWICE": 1}


VOC = (
    "<{0}annotation{1}><{0}filename>{2}</{0}filename><{0}object><{0}name>cat</{0}name><{0}bndbox>"
    "<{0}xmin>1</{0}xmin><{0}ymin>2</{0}ymin><{0}xmax>{3}</{0}xmax><{0}ymax>{3}</{0}ymax>"
    "</{0}bndbox></{0}object></{0}annotation>"
)


def _voc(root: Path, xml: str, *names: str) -> tuple[ImportSource, list[ImportItem]]:
    for name in ("a", *names):
        write_image(root / "JPEGImages" / f"{name}.jpg")
    write_text(root / "Annotations" / "a.xml", xml)
    source = read_dataset("pascal_voc", root, root)
    return source, read_all(source)


@pytest.mark.parametrize(("prefix", "space"), [("", ' xmlns="urn:a"'), ("v:", ' xmlns:v="urn:a"')])
def test_namespaces_are_looked_through(tmp_path: Path, prefix: str, space: str) -> None:
    source, (item,) = _voc(tmp_path, VOC.format(prefix, space, "a.jpg", 9))
    assert [box(a) for a in item.annotations] == [(1, 2, 8, 7)]
    assert not reasons(source, [item])


def test_text_that_only_declares_utf16(tmp_path: Path) -> None:
    """As .NET writes a document that was text in memory."""
    xml = '<?xml version="1.0" encoding="utf-16"?>' + VOC.format("", "", "a.jpg", 9)
    _, (item,) = _voc(tmp_path, xml)
    assert len(item.annotations) == 1


def test_corners_as_parts_of_the_sides_are_refused(tmp_path: Path) -> None:
    xml = VOC.format("", "", "a.jpg", 0.75).replace(">2<", ">0.5<").replace(">1<", ">0<")
    source, (item,) = _voc(tmp_path, xml)
    assert not item.annotations
    assert reasons(source, [item]) == {"NOT_PIXELS": 1}


def test_a_file_that_names_another_image_is_named(tmp_path: Path) -> None:
    source, items = _voc(tmp_path, VOC.format("", "", "b.jpg", 9), "b")
    assert [len(item.annotations) for item in items] == [1, 0]
    assert reasons(source, items) == {"NAME_DIFFERS": 1, "NO_ANNOTATION_FILE": 1}


@pytest.mark.parametrize(
    ("files", "split", "named"),
    [
        ({"train": "a\n"}, "train", {}),
        ({"valid": "a.jpg\n"}, "val", {}),
        ({"test": "a  1\n"}, "test", {}),
        ({"test": "JPEGImages/a.jpg\n", "trainval": "b\n"}, "test", {}),
        ({"train": "a\nz\ny\n"}, "train", {"SPLIT_WITHOUT_IMAGE": 1}),
        ({"val": "a\n", "train": "a\n"}, "train", {"SPLIT_TWICE": 1}),
    ],
)
def test_lists_of_splits(
    tmp_path: Path, files: dict[str, str], split: str, named: dict[str, int]
) -> None:
    for name, text in files.items():
        write_text(tmp_path / "ImageSets" / "Main" / f"{name}.txt", text)
    source, (item,) = _voc(tmp_path, VOC.format("", "", "a.jpg", 9))
    assert item.split == split
    assert reasons(source, [item]) == named


@pytest.mark.parametrize(
    "files",
    [
        {
            "images/train/a.jpg": "labels/train/a.txt",
            "images/val/b.jpg": "labels_val/b.txt",
        },
        {
            "train/images/a.jpg": "train/labels/a.txt",
            "val/images/b.jpg": "val/annotations/b.txt",
        },
        {
            "train_images/a.jpg": "train_labels/a.txt",
            "val-images/a.jpg": "labels/val/a.txt",
        },
    ],
)
def test_labels_in_and_outside_folders_named_labels(tmp_path: Path, files: dict[str, str]) -> None:
    given = dict.fromkeys(files) | dict.fromkeys(files.values(), ROW)
    source, items = _yolo(tmp_path, {**given, "classes.txt": "car\n", "README.txt": "1 2 3 4 5\n"})
    assert [len(item.annotations) for item in items] == [1, 1]
    assert not reasons(source, items).keys() - {"SPLITS_BY_FOLDER"}


@pytest.mark.parametrize(
    ("elsewhere", "reason"),
    [
        ({"other/b.txt": ROW * 2}, "LABELS_ELSEWHERE"),
        ({"labels/sub/b.txt": ROW, "labels/sub2/b.txt": ROW}, "LABELS_ELSEWHERE"),
        ({"labels_old/a.txt": ROW + ROW}, "IMAGE_LISTED_TWICE"),
        ({"other/c.txt": ROW + "0 .5 .5\n"}, "IMAGE_FILE_MISSING"),
    ],
)
def test_labels_that_find_no_image_are_named_and_counted(
    tmp_path: Path, elsewhere: dict[str, str], reason: str
) -> None:
    files = {"images/a.jpg": None, "images/b.jpg": None, "labels/a.txt": ROW, **elsewhere}
    source, items = _yolo(tmp_path, {**files, "classes.txt": "car\n"})
    assert [len(item.annotations) for item in items] == [1, 0]
    assert reasons(source, items) == {reason: len(elsewhere)}
    assert sum(issue.annotations for issue in source.issues) == 2
    # Only where it is true.
    assert ("which has another" in source.issues[0].message) == (reason == "IMAGE_LISTED_TWICE")


def test_other_texts_outside_the_labels_are_none(tmp_path: Path) -> None:
    texts = {
        "anchors.txt": "10,13, 16,30, 33,23\n",
        "notes/b.txt": "b is blurred\n",
        "results.txt": "0/299 3.5G .04 .05 .06\n",
        "other/empty.txt": "",
    }
    files = {"images/a.jpg": None, "labels/a.txt": ROW, "classes.txt": "car\n", **texts}
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "latin.txt").write_bytes(b"gr\xf6sse")
    source, items = _yolo(tmp_path, files)
    assert not reasons(source, items)


def test_labels_elsewhere_that_cannot_be_read_leave_no_empty_image(tmp_path: Path) -> None:
    files = {"images/train/a.jpg": None, "images/val/b.jpg": None, "labels/train/a.txt": ROW}
    write_text(tmp_path / "classes.txt", "car\n")
    (tmp_path / "labels_val").mkdir()
    (tmp_path / "labels_val" / "b.txt").write_bytes(b"0 .5 .5 .1 .1\x89\x80")
    source, items = _yolo(tmp_path, files)
    assert [item.path for item in items] == ["images/train/a.jpg"]
    assert reasons(source, items) == {"LABELS_UNREADABLE": 1, "SPLITS_BY_FOLDER": 1}


def test_a_list_in_another_encoding_ends_no_import(tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    write_text(lists / "val.txt", "a\n")
    (lists / "train.txt").write_bytes(b"\xe4\n")
    source, (item,) = _voc(tmp_path, VOC.format("", "", "a.jpg", 9))
    assert item.split == "val"
    assert reasons(source, [item]) == {"SPLIT_LIST_UNREADABLE": 1}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("train: [[1]]\nval: {a: 1}\n", "no text"),
        ("train: images/empty\n", "none of the images"),
        ("train: ../..\nval: images/empty\n", None),
    ],
)
def test_a_split_that_gives_no_image_is_named(
    tmp_path: Path, stated: str, message: str | None
) -> None:
    (tmp_path / "images" / "empty").mkdir(parents=True)
    files = {"images/a.jpg": None, "labels/a.txt": ROW, "data.yaml": f"names: [car]\n{stated}"}
    source, (item,) = _yolo(tmp_path, files)
    if message:
        assert item.split is None
        assert {issue.reason for issue in source.issues} == {"SPLIT_WITHOUT_IMAGE"}
        assert all(message in issue.message for issue in source.issues)
    else:
        # Every image has its split from the other.
        assert item.split == "train"
        assert not source.issues


def test_keys_of_splits_may_be_in_any_case(tmp_path: Path) -> None:
    files = {f"images/{part}/a.jpg": None for part in ("x", "y")}
    labels = {f"labels/{part}/a.txt": ROW for part in ("x", "y")}
    stated = "names: [car]\nTrain: images/x\nVAL: images/y\n"
    source, items = _yolo(tmp_path, {**files, **labels, "data.yaml": stated})
    assert [item.split for item in items] == ["train", "val"]
    assert not source.issues
