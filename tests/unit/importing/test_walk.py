"""Folders of real machines: hidden files, links, loops, pipes and devices."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import NothingToImport, read_dataset
from services.importing.folders import DiskFile, DiskFolder
from services.importing.recognition import recognised
from services.importing.walk import Surroundings, files_below
from tests.unit.importing.dataset_files import read_all, write_image, write_json, write_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")

JPEG, LABEL = frozenset((".jpg",)), "0 .5 .5 .5 .5\n"


def found(root: Path) -> tuple[list[str], Surroundings]:
    around = Surroundings()
    return list(files_below(root, JPEG, around)), around


def reasons(around: Surroundings) -> dict[str, str]:
    return {issue.item: issue.reason for issue in around.issues}


HIDDEN = (
    ".ipynb_checkpoints/a-checkpoint.jpg",
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "__MACOSX/a.jpg",
    "sub/._a.jpg",
    "Thumbs.db",
    ".DS_Store",
    "$RECYCLE.BIN/x.jpg",
)


def test_hidden_and_system_files_are_counted_in_one_line(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/a.jpg", *HIDDEN):
        write_text(tmp_path / name, "")
    paths, around = found(tmp_path)
    assert paths == ["a.jpg", "sub/a.jpg"]
    (issue,) = around.issues
    assert (issue.reason, issue.images, issue.annotations) == ("HIDDEN_LEFT_OUT", 0, 0)
    assert issue.message.startswith("7 hidden or system files and folders: ")
    # The same places again are the same files.
    list(files_below(tmp_path / "sub", JPEG, around))
    assert around.issues == [issue]


def test_a_folder_that_is_given_may_be_hidden(tmp_path: Path) -> None:
    write_text(tmp_path / ".cache" / "a.jpg", "")
    assert found(tmp_path / ".cache")[0] == ["a.jpg"]


@pytest.mark.parametrize("format", ["coco", "yolo", "pascal_voc", "pictograph"])
def test_hidden_copies_never_stand_in_for_files(tmp_path: Path, format: str) -> None:
    given = tmp_path / "given"
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    xml = "<annotation><object><name>{}</name>" + box + "</object></annotation>"
    side = {"x": 1, "y": 1, "w": 8, "h": 8}
    row = {"type": "bbox", "bounding_box": side}
    for folder in ("", ".ipynb_checkpoints/"):
        write_image(tmp_path / "images" / folder / "a.jpg")
        kind = "stale" if folder else "car"
        write_text(given / folder / "a.xml", xml.format(kind))
        write_text(given / folder / "a.txt", LABEL if kind == "car" else LABEL * 2)
        if format == "pictograph":
            write_json(given / folder / "a.json", [{"name": kind, **row}])
    write_text(given / "classes.txt", "car\n")
    if format == "coco":
        given = write_json(
            tmp_path / "c.json",
            {
                "images": [{"id": 1, "file_name": "x/a.jpg"}],
                "categories": [{"id": 1, "name": "car"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8]}],
            },
        )
    source = read_dataset(format, tmp_path / "images", given)
    (item,) = read_all(source)
    assert (item.path, [a["name"] for a in item.annotations]) == ("a.jpg", ["car"])
    assert [row.name for row in source.classes] == ["car"]
    assert [issue.reason for issue in source.issues] == ["HIDDEN_LEFT_OUT"]


@pytest.mark.parametrize(("format", "suffix"), [("yolo", ".txt"), ("pictograph", ".jpg.json")])
def test_a_hidden_image_with_annotations_of_its_own_is_meant(
    tmp_path: Path, format: str, suffix: str
) -> None:
    for name in ("a", ".meant", "._system", ".alone"):
        write_image(tmp_path / "images" / f"{name}.jpg")
        if name != ".alone":
            write_text(tmp_path / "given" / f"{name}{suffix}", LABEL if format == "yolo" else "[]")
    write_text(tmp_path / "given" / "classes.txt", "car\n")
    source = read_dataset(format, tmp_path / "images", tmp_path / "given")
    assert source.paths == [".meant.jpg", "a.jpg"]
    (issue,) = source.issues
    assert issue.message.startswith("3 hidden or system files")


def test_links_are_followed_by_the_names_that_lead_there(tmp_path: Path) -> None:
    for name in ("pool/a.jpg", "pool/deep/b.jpg", "set/own/c.jpg"):
        write_text(tmp_path / name, "")
    (tmp_path / "set" / "linked").symlink_to("../pool")
    (tmp_path / "set" / "again").symlink_to("../pool")
    (tmp_path / "set" / "d.jpg").symlink_to("../pool/a.jpg")
    paths, around = found(tmp_path / "set")
    assert paths == [
        "again/a.jpg", "again/deep/b.jpg", "d.jpg", "linked/a.jpg", "linked/deep/b.jpg",
        "own/c.jpg",
    ]  # fmt: skip
    assert around.issues == []


def test_links_do_not_lead_round(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg"):
        write_text(tmp_path / name, "")
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b").symlink_to("../b")
    (tmp_path / "b" / "a").symlink_to("../a")
    (tmp_path / "lost").symlink_to("lost")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    paths, around = found(tmp_path)
    assert paths == ["a/1.jpg", "a/b/2.jpg", "b/2.jpg", "b/a/1.jpg"]
    assert reasons(around) == {
        "a/self": "LINK_LOOP", "a/up": "LINK_LOOP", "a/b/a": "LINK_LOOP", "b/a/self": "LINK_LOOP",
        "b/a/up": "LINK_LOOP", "b/a/b": "LINK_LOOP", "gone.jpg": "FILE_UNREADABLE",
    }  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", ["jpg", "txt"])
def test_pipes_and_devices_are_named_and_never_opened(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.jpg")
        write_text(tmp_path / "labels" / f"{name}.txt", LABEL)
    folder = tmp_path / {"jpg": "images", "txt": "labels"}[suffix]
    (folder / f"b.{suffix}").unlink()
    os.mkfifo(folder / f"b.{suffix}")
    (folder / f"zero.{suffix}").symlink_to("/dev/zero")
    write_text(tmp_path / "data.yaml", "names: [car]\ntrain: images\ntest: /dev/zero\n")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    named = {i.item: i.message for i in source.issues if i.reason == "FILE_UNREADABLE"}
    if suffix == "jpg":
        assert named.pop("b.txt") == "its image b.jpg is a pipe; skipped with 1 lines"
    assert named == {
        f"b.{suffix}": "is a pipe; skipped",
        f"zero.{suffix}": "is a device; skipped",
    }
    assert next(len(item.annotations) for item in read_all(source)) == 1


@pytest.mark.timeout(20)
def test_a_pipe_given_as_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.json")
    refused = [("c.json", "it is a pipe"), ("/dev/zero", "it is a device")]
    if sys.platform == "linux":
        refused.append(("/proc/kmsg", "it is a file of the system itself"))
    for name, said in refused:
        with pytest.raises(OSError, match=said):
            DiskFile(tmp_path, name).read()


@pytest.mark.parametrize("look", [DiskFolder.files, DiskFolder.files_below])
def test_suffixes_match_in_any_case(
    tmp_path: Path, look: Callable[[DiskFolder, str], list[DiskFile]]
) -> None:
    for name in ("a.XML", "b.xml", "c.Xml", "d.xml.bak"):
        write_text(tmp_path / name, "")
    assert [file.where for file in look(DiskFolder(tmp_path), ".xml")] == [
        "a.XML",
        "b.xml",
        "c.Xml",
    ]


def test_annotations_pair_in_any_case_of_their_suffix(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.Jpeg", "c.jfif", "d.jpe"):
        write_image(tmp_path / "x.jpg")
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "x.jpg").rename(tmp_path / "images" / name)
        write_text(tmp_path / "labels" / f"{name[0]}.TXT", LABEL)
    write_text(tmp_path / "classes.txt", "car\n")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    assert [len(item.annotations) for item in read_all(source)] == [1, 1, 1, 1]
    assert source.issues == []


def test_pictures_of_other_formats_are_named_for_that(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for name in ("b.avif", "c.jp2", "d.tga"):
        write_text(tmp_path / "images" / name, "")
        write_text(tmp_path / "labels" / f"{name[0]}.txt", LABEL)
    write_text(tmp_path / "labels" / "a.txt", LABEL)
    write_text(tmp_path / "classes.txt", "car\n")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    assert {issue.reason for issue in source.issues} == {"FORMAT_NOT_READ"}
    assert sum(issue.images for issue in source.issues if issue.item.startswith("b.")) == 1
    assert sum(issue.annotations for issue in source.issues) == 3


def test_an_image_that_is_passed_over_is_never_said_to_be_missing(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    os.mkfifo(tmp_path / "images" / "pipe.jpg")
    (tmp_path / "images" / "link.jpg").symlink_to("nowhere")
    write_image(tmp_path / "images" / ".dot.jpg")
    write_text(tmp_path / "images" / "raw.dng", "")
    names = ["a.jpg", "pipe.jpg", "x/link.jpg", ".dot.jpg", "raw.dng"]
    document = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [],
    }
    file = write_json(tmp_path / "c.json", document)
    source = read_dataset("coco", tmp_path / "images", file)
    # What is named is not hidden.
    assert source.paths == [".dot.jpg", "a.jpg"]
    said = [(i.item, i.reason) for i in source.issues if i.message.startswith("its image ")]
    assert sorted(said) == [
        ("pipe.jpg", "FILE_UNREADABLE"),
        ("raw.dng", "FORMAT_NOT_READ"),
        ("x/link.jpg", "FILE_UNREADABLE"),
    ]
    # Each image once.
    assert sum(issue.images for issue in source.issues) == 3


@pytest.fixture
def locked() -> Iterator[Path]:
    """A dataset with a folder of images that may not be entered, read once before it was locked;
    root, who may enter everything, is somebody else meanwhile."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for name in ("a", "locked/b"):
        write_image(root / "images" / f"{name}.jpg")
        write_text(root / "labels" / f"{name}.txt", LABEL)
    write_text(root / "classes.txt", "car\n")
    assert len(read_all(read_dataset("yolo", root, root))) == 2
    folder = root / "images" / "locked"
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        yield root
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(root)


def test_what_lies_in_a_locked_folder_is_named_for_that(locked: Path) -> None:
    source = read_dataset("yolo", locked, locked)
    assert source.paths == ["images/a.jpg"]
    assert [(issue.reason, issue.item, issue.annotations) for issue in source.issues] == [
        ("FILE_UNREADABLE", "images/locked", 0),
        ("FILE_UNREADABLE", "labels/locked/b.txt", 1),
    ]
    with pytest.raises(NothingToImport) as caught:
        read_dataset("yolo", locked / "images", locked / "images" / "locked")
    assert "Permission denied" in caught.value.issues[0].message
    with pytest.raises(ImportFailed, match=r"not recognised.*Permission denied"):
        recognised(locked / "images" / "locked")


def test_a_split_holds_for_the_path_as_given(tmp_path: Path) -> None:
    write_image(tmp_path / "pool" / "a.jpg")
    write_text(tmp_path / "set" / "labels" / "train" / "a.txt", LABEL)
    (tmp_path / "set" / "images").mkdir()
    (tmp_path / "set" / "images" / "train").symlink_to("../../pool")
    write_text(tmp_path / "set" / "data.yaml", "names: [car]\ntrain: images/train\n")
    (item,) = read_all(
        read_dataset("yolo", tmp_path / "set" / "images", tmp_path / "set" / "labels")
    )
    assert (item.path, item.split, len(item.annotations)) == ("train/a.jpg", "train", 1)


def test_a_hidden_folder_that_data_yaml_names_is_looked_at(tmp_path: Path) -> None:
    for folder in (".data", ".cache", "x"):
        write_image(tmp_path / folder / "images" / "1.jpg")
        write_text(tmp_path / folder / "labels" / "1.txt", LABEL)
    stated = "names: [car]\ntrain: .data/images\nval: x/images\n# kept in .cache\n"
    write_text(tmp_path / "data.yaml", stated)
    source = read_dataset("yolo", tmp_path, tmp_path)
    assert [(item.path, item.split, len(item.annotations)) for item in read_all(source)] == [
        (".data/images/1.jpg", "train", 1),
        ("x/images/1.jpg", "val", 1),
    ]
    (issue,) = source.issues
    assert issue.message == "1 hidden or system files and folders: .cache"


def test_hidden_pairs_that_come_in_are_not_said_to_be_left_out(tmp_path: Path) -> None:
    for name in ("a", ".b"):
        write_image(tmp_path / "images" / f"{name}.jpg")
        write_text(tmp_path / "labels" / f"{name}.txt", LABEL)
    write_text(tmp_path / "classes.txt", "car\n")
    source = read_dataset("yolo", tmp_path, tmp_path)
    assert [len(item.annotations) for item in read_all(source)] == [1, 1]
    assert not source.issues


def test_a_file_that_is_no_image_is_not_said_to_be_missing(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for name in ("video.mp4", "bare", "kept.jpg.bak", "notes.md"):
        write_text(tmp_path / "images" / name, "")
    for name in ("a", "video", "bare", "notes", "gone"):
        write_text(tmp_path / "labels" / f"{name}.txt", LABEL)
    write_text(tmp_path / "classes.txt", "car\n")
    source = read_dataset("yolo", tmp_path, tmp_path)
    assert source.paths == ["images/a.jpg"]
    assert {issue.item: issue.reason for issue in source.issues} == {
        "labels/video.txt": "FORMAT_NOT_READ",
        "labels/bare.txt": "FORMAT_NOT_READ",
        "labels/notes.txt": "IMAGE_FILE_MISSING",
        "labels/gone.txt": "IMAGE_FILE_MISSING",
    }
    assert all(issue.images == issue.annotations == 1 for issue in source.issues)
    assert any("may be images/video.mp4" in issue.message for issue in source.issues)
