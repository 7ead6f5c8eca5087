"""Splits from lists, and what all readers share."""

import os
import sys
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportOptions, WrongUsage, read_dataset
from tests.unit.importing.dataset_files import (
    read_all,
    reasons,
    write_image,
    write_json,
    write_text,
)


def _dataset(root: Path) -> tuple[Path, Path]:
    for name in ("a/one.jpg", "a/two.jpg", "b/one.jpg", "three.v1.jpg"):
        write_image(root / "images" / name)
    write_text(root / "labels" / "three.v1.txt", "0 .5 .5 .5 .5")
    write_text(root / "classes.txt", "a\n")
    return root / "images", root / "labels"


def _splits(root: Path, source: Path) -> dict[str, str | None]:
    images, labels = _dataset(root)
    read = read_dataset("yolo", images, labels, ImportOptions(split_from=source))
    return {item.path: item.split for item in read_all(read)}


def test_lists_in_a_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "lists" / "train.txt", "a/one\n./b/one.jpg\n")
    write_text(tmp_path / "lists" / "valid.txt", "/somewhere/two.jpg\n")
    write_text(tmp_path / "lists" / "test.txt", "three.v1\n")
    assert _splits(tmp_path, tmp_path / "lists") == {
        "a/one.jpg": "train",
        "a/two.jpg": "val",
        "b/one.jpg": "train",
        "three.v1.jpg": "test",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", "path,split\na/one.jpg,train\na/two.jpg,\nthree.v1.jpg,Validation\n"),
        ("s.csv", "\ufeffa/one.jpg,train\nthree.v1.jpg,val\n"),
        ("s.json", '{"a/one.jpg": "train", "three.v1.jpg": "val", "a/two.jpg": null}'),
        (
            "s.json",
            '[{"path": "a/one.jpg", "split": "train"}, {"path": "three.v1.jpg", "split": "val"}]',
        ),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    splits = _splits(tmp_path, write_text(tmp_path / name, text))
    assert splits == {
        "a/one.jpg": "train",
        "a/two.jpg": None,
        "b/one.jpg": None,
        "three.v1.jpg": "val",
    }


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    images, labels = _dataset(tmp_path)
    # `one` alone stands for two images.
    source = write_text(
        tmp_path / "s.csv",
        "one,train\na/two.jpg,train\na/two.jpg,val\na/two,test\ngone.jpg,test\n",
    )
    read = read_dataset("yolo", images, labels, ImportOptions(split_from=source))
    items = read_all(read)
    assert reasons(read, items) == {"SPLIT_WITHOUT_IMAGE": 2, "SPLIT_TWICE": 2}
    assert [item.split for item in items if item.path == "a/two.jpg"] == ["train"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("s.csv", "a/one.jpg,everything\n", "everything"),
        ("s.csv", "", "names no image"),
        ("s.json", "{", "must be"),
        ("s.json", "[1]", "must be"),
        ("folder/other.txt", "", r"no train\.txt"),
    ],
)
def test_bad_sources_are_clear_errors(tmp_path: Path, name: str, text: str, words: str) -> None:
    source = write_text(tmp_path / name, text)
    if name.startswith("folder"):
        source = source.parent
    with pytest.raises(ImportFailed, match=words):
        _splits(tmp_path, source)


def test_a_missing_source_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"nowhere\.csv does not exist"):
        _splits(tmp_path, tmp_path / "nowhere.csv")


def test_missing_locations_are_wrong_usage(tmp_path: Path) -> None:
    images, labels = _dataset(tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")
    for nowhere in (tmp_path / "nowhere", labels / "nowhere" / "c.json", tmp_path / "dangling"):
        for given in ((nowhere, labels), (images, nowhere)):
            with pytest.raises(WrongUsage):
                read_dataset("yolo", *given)
        with pytest.raises(WrongUsage, match="does not exist; give the lists"):
            _splits(tmp_path, nowhere)
        # What contradicts itself is said first.
        with pytest.raises(WrongUsage, match="not both"):
            read_dataset("yolo", images, labels, ImportOptions(split="val", split_from=nowhere))


def test_what_all_readers_refuse(tmp_path: Path) -> None:
    images, labels = _dataset(tmp_path)
    with pytest.raises(ImportFailed, match="pictograph, coco, yolo, pascal_voc"):
        read_dataset("kitti", images, labels)
    with pytest.raises(ImportFailed, match="new, annotate, review, complete"):
        read_dataset("yolo", images, labels, ImportOptions(status="done"))
    with pytest.raises(ImportFailed, match="is no folder"):
        read_dataset("yolo", tmp_path / "nowhere", labels)
    with pytest.raises(ImportFailed, match="holds no image"):
        read_dataset("yolo", labels, labels)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_names_stay_as_they_are(tmp_path: Path) -> None:
    names = ["e\u0301.jpg", "é.jpg", "tab\t.jpg", "back\\slash.jpg", " blank .jpg"]
    for name in names:
        write_image(tmp_path / "images" / name)
    write_image(tmp_path / "latin.jpg")
    os.rename(tmp_path / "latin.jpg", os.path.join(os.fsencode(tmp_path / "images"), b"\xe9.jpg"))
    write_text(tmp_path / "classes.txt", "a\n")
    for name in names:
        write_text(tmp_path / "labels" / f"{name[:-4]}.txt", "0 .5 .5 .5 .5")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    items = read_all(source)
    assert source.paths == sorted([*names, "\\xe9.jpg"])
    assert sum(len(item.annotations) for item in items) == len(names)
    assert reasons(source, items) == {"NAME_NOT_UTF8": 1}


@pytest.mark.parametrize(
    ("word", "split"), [("train", "train"), ("Valid", "val"), ("test", "test")]
)
def test_one_split_for_all_images(tmp_path: Path, word: str, split: str) -> None:
    write_image(tmp_path / "train" / "a.jpg")
    write_json(
        tmp_path / "train" / "_annotations.coco.json",
        {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "a"}]},
    )
    source = read_dataset("coco", tmp_path, tmp_path / "train", ImportOptions(split=word))
    assert [item.split for item in read_all(source)] == [split]


@pytest.mark.parametrize(("word", "lists"), [("dev", False), ("", False), ("train", True)])
def test_what_is_no_one_split_is_refused(tmp_path: Path, word: str, lists: bool) -> None:
    options = ImportOptions(split=word, split_from=tmp_path if lists else None)
    with pytest.raises(ImportFailed, match=r"[Ss]plit"):
        read_dataset("coco", tmp_path, tmp_path, options)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("s.csv", 'a.jpg,"' + "x" * 200_000 + '"', "not CSV"),
        ("s.csv", f"a.jpg,{'x' * 500}", "no split"),
        ("s.json", "[" * 100_000, "must be"),
        ("s.json", f'{{"a.jpg": {"9" * 400}}}', "no split"),
    ],
)
def test_hostile_lists_are_refused_by_name(
    tmp_path: Path, file: str, text: str, words: str
) -> None:
    with pytest.raises(ImportFailed, match=words) as caught:
        _splits(tmp_path, write_text(tmp_path / file, text))
    assert len(str(caught.value)) < 400


def test_a_pipe_is_no_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImportFailed, match="cannot be read: it is a pipe"):
        _splits(tmp_path, tmp_path / "pipe")
