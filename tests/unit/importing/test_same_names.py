"""Images of one name in several splits, as frames of videos are: the layout says which is meant."""

from pathlib import Path
from typing import Any

import pytest

from services.formats.common.name_finder import NameFinder
from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportOptions, read_dataset
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    write_image,
    write_json,
    write_text,
)

NAMES = ("frame_000000.jpg", "sub/frame_000000.jpg", "other.jpg")
#: Where the images and the document of a split lie, by who lays them out so.
COCO = {
    "Datumaro, CVAT": ("images/{split}/", "annotations/instances_{split}.json"),
    "COCO itself": ("{split}2017/", "annotations/instances_{split}2017.json"),
    "COCO below images": ("images/{split}2017/", "annotations/instances_{split}2017.json"),
    "FiftyOne": ("{split}/data/", "{split}/labels.json"),
    "by split": ("{split}/images/", "{split}/annotations/instances_{split}.json"),
    "Roboflow": ("{split}/", "{split}/_annotations.coco.json"),
}
VOC = {
    "by split": ("{split}/JPEGImages/", "{split}/Annotations/"),
    "an export by split": (
        "{split}/VOCdevkit/VOC2012/JPEGImages/",
        "{split}/VOCdevkit/VOC2012/Annotations/",
    ),
    "folders of splits": ("images/{split}/", "annotations/{split}/"),
    "Roboflow": ("{split}/", "{split}/"),
}
SPLITS = {"train": "train", "val": "val", "test": "test"}


def _document(left: int) -> dict[str, Any]:
    return {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(NAMES)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [left + n, 2, 3, 4]}
            for n in range(len(NAMES))
        ],
    }


def _xml(name: str, left: int) -> str:
    corners = f"<xmin>{left}</xmin><ymin>2</ymin><xmax>{left + 3}</xmax><ymax>6</ymax>"
    thing = f"<object><name>car</name><bndbox>{corners}</bndbox></object>"
    return f"<annotation><filename>{name}</filename>{thing}</annotation>"


def _expected(images: str) -> dict[str, tuple[float, str]]:
    return {
        images.format(split=split) + name: (10 * place + n, SPLITS[split])
        for place, split in enumerate(SPLITS)
        for n, name in enumerate(NAMES)
    }


def _found(root: Path, format_: str) -> dict[str, tuple[float, str | None]]:
    source = read_dataset(format_, root, root)
    items = read_all(source)
    assert reasons(source, items).keys() <= {"SPLITS_BY_FOLDER"}
    return {item.path: (box(item.annotations[0])[0], item.split) for item in items}


@pytest.mark.parametrize("layout", COCO)
def test_a_document_means_the_images_of_its_split(tmp_path: Path, layout: str) -> None:
    images, document = COCO[layout]
    for place, split in enumerate(SPLITS):
        for name in NAMES:
            write_image(tmp_path / images.format(split=split) / name)
        write_json(tmp_path / document.format(split=split), _document(10 * place))
    assert _found(tmp_path, "coco") == _expected(images)


@pytest.mark.parametrize("layout", VOC)
def test_an_xml_means_the_image_that_is_nearest(tmp_path: Path, layout: str) -> None:
    images, annotations = VOC[layout]
    for place, split in enumerate(SPLITS):
        for n, name in enumerate(NAMES):
            write_image(tmp_path / images.format(split=split) / name)
            file = (tmp_path / annotations.format(split=split) / name).with_suffix(".xml")
            write_text(file, _xml(Path(name).name, 10 * place + n))
    assert _found(tmp_path, "pascal_voc") == _expected(images)


def test_several_devkits_have_splits_of_their_own(tmp_path: Path) -> None:
    """Also where the folder above them is given."""
    expected = {}
    for left, (year, split) in enumerate((("2007", "train"), ("2012", "val")), 1):
        kit = tmp_path / "VOCdevkit" / f"VOC{year}"
        write_image(kit / "JPEGImages" / "000001.jpg")
        write_text(kit / "Annotations" / "000001.xml", _xml("000001.jpg", left))
        write_text(kit / "ImageSets" / "Main" / f"{split}.txt", "000001\n")
        expected[f"VOCdevkit/VOC{year}/JPEGImages/000001.jpg"] = (left, split)
    assert _found(tmp_path, "pascal_voc") == expected


def test_a_list_of_a_split_means_the_images_in_its_folder(tmp_path: Path) -> None:
    for split in SPLITS:
        write_image(tmp_path / "images" / f"{split}_" / split / "1.jpg")
        write_text(tmp_path / "lists" / f"{split}.txt", "1\n")
    write_text(tmp_path / "labels" / "train_" / "train" / "1.txt", "0 .5 .5 .5 .5")
    write_text(tmp_path / "classes.txt", "car")
    options = ImportOptions(split_from=tmp_path / "lists")
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels", options)
    assert {item.path: item.split for item in source.items()} == {
        f"{split}_/{split}/1.jpg": split for split in SPLITS
    }
    assert not source.issues


@pytest.mark.parametrize("above", ["", "images/", "data/set/images/"])
def test_images_lie_where_the_others_of_their_document_do(tmp_path: Path, above: str) -> None:
    """A name without a folder is none of those in folders below."""
    for name in NAMES:
        write_image(tmp_path / above / name)
    write_json(tmp_path / "c.json", _document(0))
    expected = {f"{above}{name}": (n, None) for n, name in enumerate(NAMES)}
    assert _found(tmp_path, "coco") == expected


def test_what_nothing_tells_apart_stays_ambiguous(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_image(tmp_path / "images" / folder / "1.jpg")
    document = _document(0)
    document["images"] = [{"id": 0, "file_name": "1.jpg"}]
    document["annotations"] = document["annotations"][:1]
    file = write_json(tmp_path / "annotations" / "instances_train.json", document)
    with pytest.raises(ImportFailed, match="None of the images"):
        read_dataset("coco", tmp_path / "images", file)


@pytest.mark.parametrize("above", ["", "x/", "x/y/"])
@pytest.mark.parametrize("below", ["", "data/", "data/more/"])
def test_of_several_paths_the_nearest_is_meant(above: str, below: str) -> None:
    paths = [f"{above}{folder}/{below}1.jpg" for folder in ("p", "pq", "q")]
    finder = NameFinder(paths, "/set")
    for folder, path in zip(("p", "pq", "q"), paths, strict=True):
        for inside in ("", "/annotations", "/a/b"):
            assert finder.find("1.jpg", f"/set/{above}{folder}{inside}") == path
            assert finder.find("elsewhere/1.jpg", f"/set/{above}{folder}{inside}") == path
    assert finder.find("1.jpg", "/set/annotations") is None
    assert finder.find("1.jpg", "/other") is None
    assert finder.find("1.jpg") is None
