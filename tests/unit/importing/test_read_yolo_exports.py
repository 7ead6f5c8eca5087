"""YOLO as other tools export it, taken from the dataset's folder at once."""

from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.formats.yolo.names import OTHER_LISTS
from services.importing.dataset import read_dataset
from services.importing.recognition import recognised
from tests.unit.importing.dataset_files import read_all, reasons, write_image, write_text

LABEL = "1 .5 .5 .5 .5\n"
DARKNET = {
    "obj.names": "cat\ndog\n",
    "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\n"
    "names = data/obj.names\nbackup = backup/\n",
    "train.txt": "data/obj_train_data/a.jpg\n",
    "valid.txt": "data/obj_valid_data/b.jpg\n",
}
#: Files of a dataset and its label files, by what exports it; a.jpg is for training, b.jpg for
#: validation where the layout says so.
EXPORTS: dict[str, tuple[dict[str, str], list[str], bool]] = {
    "Roboflow": (
        {
            "data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\n"
            "nc: 2\nnames: ['cat', 'dog']\n\nroboflow:\n  workspace: w\n  license: CC BY 4.0\n",
            "README.roboflow.txt": "Pets - v1\n==========\n\nThis was exported on May 1.\n",
            "README.dataset.txt": "# Pets > raw\nProvided by somebody\n",
        },
        ["train/labels/a.txt", "valid/labels/b.txt"],
        True,
    ),
    "CVAT, Ultralytics": (
        {
            "data.yaml": "names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: val.txt\n",
            "train.txt": "data/images/train/a.jpg\n",
            "val.txt": "data/images/val/b.jpg\n",
        },
        ["labels/train/a.txt", "labels/val/b.txt"],
        True,
    ),
    "CVAT, Darknet": (DARKNET, ["obj_train_data/a.txt", "obj_valid_data/b.txt"], True),
    "Label Studio": (
        {"classes.txt": "cat\ndog\n", "notes.json": '{"categories": []}'},
        ["labels/a.txt", "labels/b.txt"],
        False,
    ),
    "labelImg": ({"obj/classes.txt": "cat\ndog\n"}, ["obj/a.txt", "obj/b.txt"], False),
    "Roboflow, Darknet": (
        {"train/_darknet.labels": "cat\ndog\n", "valid/_darknet.labels": "cat\ndog"},
        ["train/a.txt", "valid/b.txt"],
        True,
    ),
    "make-sense": ({"labels.txt": "cat\ndog\n"}, ["obj/a.txt", "obj/b.txt"], False),
    "names in a file": (
        {"data.yaml": "names: cfg/pets.names\ntrain: images\n", "cfg/pets.names": "cat\ndog\n"},
        ["labels/a.txt", "labels/b.txt"],
        False,
    ),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_ordinary_exports_come_in_at_once(tmp_path: Path, tool: str) -> None:
    files, labels, has_splits = EXPORTS[tool]
    for name, text in files.items():
        write_text(tmp_path / name, text)
    for label in labels:
        write_text(tmp_path / label, LABEL)
        write_image((tmp_path / label.replace("labels", "images")).with_suffix(".jpg"))
    given = tmp_path / "obj" if tool == "labelImg" else tmp_path
    source = read_dataset("yolo", tmp_path, given)
    items = read_all(source)
    assert [[a["name"] for a in item.annotations] for item in items] == [["dog"], ["dog"]]
    assert [item.name for item in source.classes] == ["cat", "dog"]
    if has_splits:
        assert [item.split for item in items] == ["train", "val"]
    # Texts that are no labels are named, and nothing is left out.
    assert reasons(source, items).keys() <= {"NO_LABELS", "SPLITS_BY_FOLDER"}
    assert recognised(given).format == "yolo"
    assert not any(issue.images or issue.annotations for issue in source.issues)


@pytest.mark.parametrize("place", ["", "labels/", "images/"])
@pytest.mark.parametrize("name", ["coco.names", "Classes.NAMES", *OTHER_LISTS])
def test_class_lists_of_other_names(tmp_path: Path, name: str, place: str) -> None:
    write_text(tmp_path / place / name, "cat\ndog\n")
    for stem in ("a", "label", "class"):
        write_image(tmp_path / "images" / f"{stem}.jpg")
        write_text(tmp_path / "labels" / f"{stem}.txt", LABEL)
    if place == "labels/" and name in ("label.txt", "class.txt"):
        # The file of an image is no list.
        write_text(tmp_path / "classes.txt", "cat\ndog\n")
    source = read_dataset("yolo", tmp_path, tmp_path)
    items = read_all(source)
    assert [item.name for item in source.classes] == ["cat", "dog"]
    assert [len(item.annotations) for item in items] == [1, 1, 1]
    assert not reasons(source, items)


def test_lists_that_differ_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "a.jpg")
    write_text(tmp_path / "train" / "a.txt", LABEL)
    write_text(tmp_path / "train" / "_darknet.labels", "cat\ndog\n")
    write_text(tmp_path / "valid" / "_darknet.labels", "dog\ncat\n")
    with pytest.raises(ImportFailed, match="Several class lists differ"):
        read_dataset("yolo", tmp_path, tmp_path)


def test_the_file_of_darknet_itself(tmp_path: Path) -> None:
    for name, text in DARKNET.items():
        write_text(tmp_path / name, text)
    write_text(tmp_path / "obj_train_data" / "a.txt", LABEL)
    write_image(tmp_path / "obj_train_data" / "a.jpg")
    source = read_dataset("yolo", tmp_path, tmp_path / "obj.data")
    (item,) = read_all(source)
    assert (item.split, item.annotations[0]["name"]) == ("train", "dog")


@pytest.mark.parametrize("text", ["classes = 2", "names = gone.names", ""])
def test_darknet_without_names_is_a_clear_error(tmp_path: Path, text: str) -> None:
    write_image(tmp_path / "a.jpg")
    write_text(tmp_path / "a.txt", LABEL)
    write_text(tmp_path / "obj.data", text)
    with pytest.raises(ImportFailed, match=r"obj\.data needs `names"):
        read_dataset("yolo", tmp_path, tmp_path)
