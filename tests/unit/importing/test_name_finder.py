"""Names as people write them, and the paths that they mean."""

import time
from pathlib import Path

import pytest

from services.formats.common.name_finder import NameFinder, common_parts
from services.importing.dataset import read_dataset
from tests.unit.importing.dataset_files import read_all, write_image, write_json, write_text

PATHS = ["a/1.jpg", "b/1.jpg", "b/c/1.jpg", "only.jpg", "ü x.jpg", "100%.jpg"]
ROOT = "/here/images"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("a\\1.jpg", "a/1.jpg"),
        ("./a/1.jpg", "a/1.jpg"),
        ("a//1.jpg", "a/1.jpg"),
        ("/b/1.jpg", "b/1.jpg"),
        ("b/../a/1.jpg", "a/1.jpg"),
        ("images/a/1.jpg", "a/1.jpg"),
        ("/data/set/images/b/1.jpg", "b/1.jpg"),
        ("C:\\data\\c\\1.jpg", "b/c/1.jpg"),
        ("..\\..\\ls\\media\\upload\\4\\only.jpg", "only.jpg"),
        ("https://host/x/b/c/1.jpg", "b/c/1.jpg"),
        ("on%6Cy.jpg", "only.jpg"),
        (" only.jpg\r", "only.jpg"),
        ("/data/local-files/?d=only.jpg", "only.jpg"),
        ("/data/local-files/?d=set%5Ca%5C1.jpg", "a/1.jpg"),
        ("https://host/x/only.jpg?token=1/2", "only.jpg"),
        ("%C3%BC%20x.jpg", "ü x.jpg"),
        ("u\u0308 x.jpg", "ü x.jpg"),
        ("100%.jpg", "100%.jpg"),
        ("A/1.JPG", "a/1.jpg"),
        ("ONLY.jpg", "only.jpg"),
        # It fits three.
        ("1.jpg", None),
        ("gone/1.jpg", None),
        ("other.jpg", None),
        ("", None),
        ("../..", None),
    ],
)
def test_the_longest_ending_that_fits_one_path_wins(name: str, path: str | None) -> None:
    assert NameFinder(PATHS, ROOT).find(name) == path


def test_a_name_that_fits_several_says_which() -> None:
    finder = NameFinder(PATHS, ROOT)
    assert finder.fitting("1.jpg") == ["a/1.jpg", "b/1.jpg", "b/c/1.jpg"]
    assert finder.fitting("other.jpg") == []


@pytest.mark.parametrize(
    ("paths", "name", "path"),
    [
        # The path that is the whole of the name, and not one that ends like it.
        (["1.jpg", "a/1.jpg"], "1.jpg", "1.jpg"),
        (["1.jpg", "a/1.jpg"], "./1.jpg", "1.jpg"),
        # The folder above all is a part of its path.
        (["1.jpg", "a/1.jpg"], "/elsewhere/images/1.jpg", "1.jpg"),
        (["1.jpg", "a/1.jpg"], "/elsewhere/other/1.jpg", None),
        # Paths that differ in case alone are told apart by it.
        (["a/x.jpg", "A/x.jpg"], "A/x.jpg", "A/x.jpg"),
        (["a/x.jpg", "A/x.jpg"], "images/A/x.jpg", "A/x.jpg"),
        (["back\\slash.jpg"], "back\\slash.jpg", "back\\slash.jpg"),
    ],
)
def test_of_several_the_one_that_agrees_best(paths: list[str], name: str, path: str | None) -> None:
    assert NameFinder(paths, ROOT).find(name) == path


def test_names_are_seen_from_the_file_that_they_stand_in() -> None:
    finder = NameFinder(["train/1.jpg", "val/1.jpg", "1.jpg"], ROOT)
    assert finder.find("1.jpg", f"{ROOT}/val") == "val/1.jpg"
    assert finder.find("../train/1.jpg", f"{ROOT}/val") == "train/1.jpg"
    assert finder.find("../images/train/1.jpg", "/here/annotations") == "train/1.jpg"
    assert finder.find("1.jpg", "/here/annotations") == "1.jpg"


def test_the_nearest_name_of_one_that_fits_nothing() -> None:
    finder = NameFinder(["a/frame_0001.jpg", "a/frame_0002.jpg", "b/scene.jpg"], ROOT)
    assert finder.nearest("x/frame_00001.jpg") == "a/frame_0001.jpg"
    assert finder.nearest("xscene.jpg") == "b/scene.jpg"
    assert finder.nearest("zzzzzzzzzzzzzzz") is None


@pytest.mark.parametrize("extension", ["png", "JPEG", "tif", "jpg.png"])
def test_a_name_of_another_extension_is_nearest(extension: str) -> None:
    """Whatever others look like it in their letters."""
    stem = "frame_0001" if extension.count(".") == 0 else "frame_0001.jpg"
    near = [f"x/frame_000{number}.{extension[-3:]}" for number in range(2, 9)]
    finder = NameFinder([*near, f"z/{stem}.{extension.rpartition('.')[2]}"])
    assert finder.nearest(f"a/{stem}.webp") == f"z/{stem}.{extension.rpartition('.')[2]}"


def test_many_equal_names_are_no_more_work() -> None:
    paths = [f"{number}/image.jpg" for number in range(30_000)]
    finder = NameFinder(paths, ROOT)
    begun = time.process_time()
    assert all(finder.find(f"/data/{path}") == path for path in paths)
    assert not any(finder.find("image.jpg") for _ in paths)
    assert finder.nearest("imoge.jpg")
    # Quadratic work takes minutes.
    assert time.process_time() - begun < 30


def test_shared_ends_are_counted_in_any_case() -> None:
    assert common_parts("/data/A/1.jpg", "images/a/1.JPG") == 2
    assert common_parts("b.jpg", "a.jpg") == 0


SPELLINGS = {
    "a\\1.jpg": "a/1.jpg",
    "/data/images/b/1.jpg": "b/1.jpg",
    "ONLY.jpg": "only.jpg",
}


@pytest.mark.parametrize("format", ["coco", "pascal_voc", "pictograph"])
def test_every_reader_finds_images_alike(tmp_path: Path, format: str) -> None:
    for path in SPELLINGS.values():
        write_image(tmp_path / "images" / path)
    given = tmp_path / format
    box = {"bbox": [1, 1, 5, 5], "category_id": 1}
    if format == "coco":
        given = write_json(
            tmp_path / "c.json",
            {
                "images": [{"id": n, "file_name": name} for n, name in enumerate(SPELLINGS)],
                "categories": [{"id": 1, "name": "car"}],
                "annotations": [{"id": n, "image_id": n, **box} for n in range(len(SPELLINGS))],
            },
        )
    for number, name in enumerate(SPELLINGS):
        if format == "pascal_voc":
            write_text(
                given / f"file{number}.xml",
                f"<annotation><filename>{name}</filename><object><name>car</name><bndbox>"
                "<xmin>1</xmin><ymin>1</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></object>"
                "</annotation>",
            )
        elif format == "pictograph":
            side = {"x": 1, "y": 1, "w": 5, "h": 5}
            value = {"name": "car", "type": "bbox", "bounding_box": side}
            write_json(
                given / f"file{number}.json", {"image": {"file": name}, "annotations": [value]}
            )
    source = read_dataset(format, tmp_path / "images", given)
    items = read_all(source)
    found = {item.path: len(item.annotations) for item in items}
    assert found == dict.fromkeys(SPELLINGS.values(), 1)
    assert source.issues == []


@pytest.mark.parametrize(
    "more",
    [
        "<folder>a</folder>",
        "<folder>images\\a</folder>",
        "<path>C:\\data\\a\\1.jpg</path>",
        "<folder>JPEGImages</folder><path>/home/me/set/a/1.jpg</path>",
    ],
)
def test_a_voc_file_says_its_folder_in_several_places(tmp_path: Path, more: str) -> None:
    for path in ("a/1.jpg", "b/1.jpg"):
        write_image(tmp_path / "images" / path)
    write_text(
        tmp_path / "xml" / "one.xml",
        f"<annotation>{more}<filename>1.jpg</filename><object><name>car</name><bndbox>"
        "<xmin>1</xmin><ymin>1</ymin><xmax>6</xmax><ymax>6</ymax></bndbox></object></annotation>",
    )
    items = read_all(read_dataset("pascal_voc", tmp_path / "images", tmp_path / "xml"))
    assert [(item.path, len(item.annotations)) for item in items] == [
        ("a/1.jpg", 1),
        ("b/1.jpg", 0),
    ]


def test_what_fits_nothing_says_what_is_near(tmp_path: Path) -> None:
    for path in ("a/1.jpg", "b/1.jpg", "scene.jpg"):
        write_image(tmp_path / path)
    write_text(tmp_path / "photo.jp2", "")
    names = ["1.jpg", "seene.jpg", "photo.jp2"]
    document = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(["a/1.jpg", *names])],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 1, "bbox": [1, 1, 2, 2]}],
    }
    source = read_dataset("coco", tmp_path, write_json(tmp_path / "c.json", document))
    found = {issue.item: issue for issue in source.issues if issue.item in names}
    assert {issue.reason for issue in found.values()} == {
        "IMAGE_AMBIGUOUS", "IMAGE_FILE_MISSING", "FORMAT_NOT_READ",
    }  # fmt: skip
    assert "fits 2 images" in found["1.jpg"].message
    assert "the nearest name is scene.jpg" in found["seene.jpg"].message
    assert (found["seene.jpg"].images, found["seene.jpg"].annotations) == (1, 1)


def test_a_document_beside_its_images_means_these(tmp_path: Path) -> None:
    for path in ("train/1.jpg", "val/1.jpg"):
        write_image(tmp_path / path)
    file = write_json(
        tmp_path / "val" / "c.json",
        {
            "images": [{"id": 1, "file_name": "1.jpg"}],
            "categories": [{"id": 1, "name": "car"}],
            "annotations": [],
        },
    )
    assert read_dataset("coco", tmp_path, file).paths == ["val/1.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "train: /Users/me/set/train/images\nval: /Users/me/set/valid/images",
        "train: C:\\sets\\train\\images\nval: C:\\sets\\valid\\images",
        "path: /content/datasets/set\ntrain: train/images\nval: valid/images",
        "train: ../train/images\nval: ../valid/images",
        "train: /Users/me/set/train\nval: /Users/me/set/valid",
    ],
)
@pytest.mark.parametrize("images", ["", "valid/images"])
def test_paths_from_elsewhere_keep_their_splits(tmp_path: Path, text: str, images: str) -> None:
    for path in ("train/images/a.jpg", "valid/images/b.jpg"):
        write_image(tmp_path / path)
    for path in ("train/labels/a.txt", "valid/labels/b.txt"):
        write_text(tmp_path / path, "0 .5 .5 .5 .5\n")
    write_text(tmp_path / "data.yaml", f"{text}\nnames: [car]\n")
    items = read_all(read_dataset("yolo", tmp_path / images, tmp_path))
    splits = {item.path.rsplit("/", 1)[-1]: item.split for item in items}
    assert splits == ({"b.jpg": "val"} if images else {"a.jpg": "train", "b.jpg": "val"})


def test_lists_from_elsewhere_keep_their_splits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.jpg")
        write_text(tmp_path / "labels" / f"{name}.txt", "0 .5 .5 .5 .5\n")
    write_text(tmp_path / "train.txt", "/content/set/images/a.jpg\n")
    write_text(tmp_path / "val.txt", "./images/b.jpg\nimages/gone.jpg\n")
    write_text(tmp_path / "data.yaml", "train: train.txt\nval: val.txt\nnames: [car]\n")
    items = read_all(read_dataset("yolo", tmp_path, tmp_path / "labels"))
    assert [item.split for item in items] == ["train", "val"]


def test_a_split_that_fits_nothing_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    write_text(tmp_path / "labels" / "a.txt", "0 .5 .5 .5 .5\n")
    write_text(tmp_path / "data.yaml", "train: /x/elsewhere/images\nnames: [car]\n")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    assert [item.split for item in read_all(source)] == [None]
    (issue,) = source.issues
    assert (issue.reason, issue.images) == ("SPLIT_WITHOUT_IMAGE", 0)
    assert "'/x/elsewhere/images' fits no folder of images" in issue.message
