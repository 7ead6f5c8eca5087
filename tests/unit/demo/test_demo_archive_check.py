"""The check of a downloaded archive accepts what is right and names what is not."""

import json
import zipfile
from pathlib import Path

import pytest

from services.demo.archive_check import check_archive
from services.errors import CartoucheError

_NAMES = ("day/a.jpg", "day/b.jpg")
_COCO = {
    "images": [{"id": i, "file_name": name} for i, name in enumerate(_NAMES, 1)],
    "annotations": [{"id": 1, "category_id": 2}, {"id": 2, "category_id": 2}],
    "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "person"}],
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return _written(tmp_path / "right.zip", _NAMES)


def _written(path: Path, names: tuple[str, ...]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(f"images/{name}", b"pixels")
        file.writestr("annotations/instances_default.json", json.dumps(_COCO))
    return path


def test_a_right_archive_is_counted(archive: Path) -> None:
    contents = check_archive(archive, image_count=2, annotation_count=2)
    assert (contents.entries, contents.images, contents.image_size) == (3, 2, 12)
    assert contents.annotations == {"person": 2}


@pytest.mark.parametrize(("images", "annotations"), [(3, 2), (2, 1)])
def test_other_counts_are_refused(archive: Path, images: int, annotations: int) -> None:
    with pytest.raises(CartoucheError, match="the export says"):
        check_archive(archive, images, annotations)


def test_a_damaged_image_is_refused(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[data.index(b"pixels")] ^= 1
    archive.write_bytes(data)
    with pytest.raises(CartoucheError, match=r"images/day/a\.jpg is damaged"):
        check_archive(archive, 2, 2)


def test_an_image_under_another_name_is_refused(tmp_path: Path) -> None:
    other = _written(tmp_path / "other.zip", ("day/a.jpg", "day/c.jpg"))
    with pytest.raises(CartoucheError, match=r"names day/b\.jpg"):
        check_archive(other, 2, 2)


def test_what_is_no_archive_or_no_coco_is_refused(tmp_path: Path) -> None:
    torn = tmp_path / "torn.zip"
    torn.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CartoucheError, match="not what it should be"):
        check_archive(torn, 2, 2)
    bare = tmp_path / "bare.zip"
    with zipfile.ZipFile(bare, "w") as file:
        file.writestr("README.md", "no COCO")
    with pytest.raises(CartoucheError, match="missing"):
        check_archive(bare, 2, 2)
