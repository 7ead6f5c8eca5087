"""Files and folders on disk, as the readers see them."""

import sys
from pathlib import Path

import pytest

from services.importing.folders import DiskFolder, annotations_at
from services.importing.image_folder import ImageFolder
from tests.unit.importing.dataset_files import write_image, write_text


def test_files_come_folder_by_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a.txt", "a-b/x.txt", "a/b/y.txt", "a/other.json"):
        write_text(tmp_path / name, name)
    folder = DiskFolder(tmp_path)
    below = folder.files_below(".txt")
    assert [file.where for file in below] == [
        "a/b/y.txt",
        "a/z.txt",
        "a-b/x.txt",
        "a.txt",
        "b.txt",
    ]
    assert [file.read().decode() for file in below] == [file.where for file in below]
    assert [str(file) for file in folder.files(".txt")] == [
        f"{tmp_path}/a.txt",
        f"{tmp_path}/b.txt",
    ]


def test_looking_around(tmp_path: Path) -> None:
    write_text(tmp_path / "data.yaml", "names")
    (tmp_path / "labels").mkdir()
    folder = DiskFolder(tmp_path / "labels")
    file = folder.file("..", "data.yaml")
    assert file
    assert file.read() == b"names"
    assert file.folder.place == tmp_path.as_posix()
    absolute = folder.file("anywhere", str(tmp_path / "data.yaml"))
    assert absolute
    assert str(absolute) == f"{tmp_path}/data.yaml"
    assert folder.file("data.yaml") is None
    assert folder.file("..", "labels") is None
    assert folder.subfolder("..", "data.yaml") is None
    assert str(folder.subfolder("..", "labels")) == f"{tmp_path}/labels/../labels"


def test_a_relative_folder_is_the_one_that_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels").mkdir()
    monkeypatch.chdir(tmp_path / "labels")
    folder = DiskFolder(Path("."))
    assert str(folder) == "."
    assert folder.place == f"{tmp_path.as_posix()}/labels"
    assert folder.parent.place == tmp_path.as_posix()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_where_locations_are_resolved(tmp_path: Path) -> None:
    write_image(tmp_path / "real" / "x.jpg")
    (tmp_path / "link").symlink_to("real")
    images = ImageFolder(tmp_path / "link")
    assert images.folder.place == f"{tmp_path.as_posix()}/link"
    assert images.folder.resolve() == f"{tmp_path.resolve().as_posix()}/real"
    assert images.folder.resolve("..", "gone") == f"{tmp_path.resolve().as_posix()}/gone"
    assert images.resolve("x.jpg") == f"{tmp_path.resolve().as_posix()}/real/x.jpg"


def test_annotations_are_a_folder_or_a_file_that_may_be_missing(tmp_path: Path) -> None:
    write_text(tmp_path / "c.json", "{}")
    folder, file = annotations_at(tmp_path), annotations_at(tmp_path / "c.json")
    missing = annotations_at(tmp_path / "gone.json")
    assert folder.file is None
    assert file.file
    assert file.file.exists
    assert missing.file
    assert not missing.file.exists
    assert [str(it) for it in (folder, file, missing)] == [
        f"{tmp_path}",
        f"{tmp_path}/c.json",
        f"{tmp_path}/gone.json",
    ]
    assert {str(it.folder) for it in (folder, file, missing)} == {str(tmp_path)}
    with pytest.raises(FileNotFoundError):
        missing.file.read()
