"""Several COCO documents of the same images: nothing of them is lost in silence, or doubled."""

from pathlib import Path
from typing import Any

import pytest

from services.importing.dataset import ImportItem, ImportSource, read_dataset
from services.importing.recognition import recognised
from tests.unit.importing.dataset_files import box, read_all, reasons, write_image, write_json

CAR, PERSON = {"id": 1, "name": "car"}, {"id": 2, "name": "person"}
POSED = {"id": 1, "name": "person", "keypoints": ["nose", "eye"], "skeleton": [[1, 2]]}
FIRST, SECOND, THIRD = [10, 10, 20, 20], [40, 10, 20, 20], [60, 10, 20, 20]


def _row(id_: int, category: int, place: list[int], **fields: Any) -> dict[str, Any]:
    return {"id": id_, "image_id": 1, "category_id": category, "bbox": place, **fields}


def _pose(id_: int, place: list[int], **fields: Any) -> dict[str, Any]:
    x, y, *_ = place
    return _row(id_, 1, place, keypoints=[x + 1, y + 1, 2, x + 5, y + 5, 2], **fields)


def _document(
    categories: list[dict[str, Any]], *rows: dict[str, Any], **images: int
) -> dict[str, Any]:
    listed = images or {"a": 1}
    return {
        "images": [{"id": id_, "file_name": f"{name}.jpg"} for name, id_ in listed.items()],
        "categories": categories,
        "annotations": list(rows),
    }


def _read(root: Path, **documents: dict[str, Any]) -> tuple[ImportSource, list[ImportItem]]:
    for name in {image["file_name"] for each in documents.values() for image in each["images"]}:
        write_image(root / "images" / name, 100, 80)
    for name, document in documents.items():
        write_json(root / "annotations" / f"{name}.json", document)
    source = read_dataset("coco", root / "images", root)
    return source, read_all(source)


def _objects(item: ImportItem) -> list[Any]:
    """Boxes by class and place, joints by class and object."""
    return [
        (a["name"], box(a) if a["type"] == "bbox" else a.get("instance_id"))
        for a in item.annotations
    ]


def test_poses_of_a_document_with_ids_of_its_own(tmp_path: Path) -> None:
    """As Datumaro writes them: each document numbers its annotations from 1."""
    source, (item,) = _read(
        tmp_path,
        instances_train=_document([CAR, PERSON], _row(1, 1, SECOND), _row(2, 2, FIRST)),
        person_keypoints_train=_document([POSED], _pose(1, FIRST)),
    )
    assert _objects(item) == [("car", tuple(SECOND)), ("nose", 1), ("eye", 1)]
    assert reasons(source, [item]) == {"SHAPE_OF_POSE": 1}
    assert item.split == "train"


def test_an_id_that_two_poses_have(tmp_path: Path) -> None:
    poses = [_pose(5, FIRST), _pose(6, SECOND), _pose(6, THIRD)]
    _, (item,) = _read(
        tmp_path,
        instances_train=_document([POSED], _row(5, 1, FIRST)),
        person_keypoints_train=_document([POSED], *poses),
    )
    assert [a["name"] for a in item.annotations] == ["nose", "eye"] * 3
    assert len({a["id"] for a in item.annotations}) == 6
    assert [a["instance_id"] for a in item.annotations] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    "change", [{"bbox": THIRD}, {"category_id": 2}, {"image_id": 2}, {"bbox": None}]
)
def test_poses_that_agree_with_no_object_stay_beside_it(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    images = {"a": 1, "b": 2}
    pose = {**_pose(1, FIRST), **change}
    ape = {**POSED, "id": 2, "name": "ape", "keypoints": ["muzzle", "ear"]}
    _, items = _read(
        tmp_path,
        instances_train=_document([POSED, ape], _row(1, 1, FIRST), **images),
        person_keypoints_train=_document([POSED, ape], pose, **images),
    )
    found = [a["type"] for item in items for a in item.annotations]
    assert found == ["bbox", "keypoint", "keypoint"]


def test_a_pose_keeps_what_only_its_object_says(tmp_path: Path) -> None:
    outline = [[10, 10, 30, 10, 30, 30]]
    seen = _row(1, 2, FIRST, segmentation=outline, attributes={"hat": "red", "age": 4}, track=7)
    flat = {"keypoints": [0] * 6, "num_keypoints": 0}
    source, (item,) = _read(
        tmp_path,
        instances_train=_document(
            [CAR, PERSON], seen, _row(2, 2, SECOND, segmentation=[[40, 10, 60, 10, 60, 30]])
        ),
        person_keypoints_train=_document(
            [POSED],
            _pose(1, FIRST, segmentation=[], attributes={"age": 5}),
            {**_row(2, 1, SECOND, segmentation=[]), **flat},
        ),
    )
    nose, _, other = item.annotations
    assert nose["attributes"] == {"hat": "red", "age": 5, "track": 7}
    assert (other["type"], other["name"]) == ("polygon", "person")
    assert reasons(source, [item])["SHAPE_OF_POSE"] == 1


def test_images_and_classes_of_poses_alone_come_in(tmp_path: Path) -> None:
    ape = {**POSED, "id": 3, "name": "ape"}
    source, items = _read(
        tmp_path,
        instances_train=_document([CAR, PERSON], _row(1, 2, FIRST)),
        person_keypoints_train=_document([POSED, ape], _pose(1, FIRST), a=1, b=2),
    )
    assert [(item.path, len(item.annotations)) for item in items] == [("a.jpg", 2), ("b.jpg", 0)]
    assert [c.name for c in source.classes if c.skeleton] == ["person", "ape"]


def test_documents_below_another_are_read_too(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", 100, 80)
    write_json(tmp_path / "labels.json", _document([CAR], _row(1, 1, FIRST)))
    deeper = _document([{"id": 1, "name": "dog"}], _row(9, 1, SECOND))
    write_json(tmp_path / "annotations" / "instances_train.json", deeper)
    assert recognised(tmp_path).why == "annotations/instances_train.json"
    source = read_dataset("coco", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert _objects(item) == [("car", tuple(FIRST)), ("dog", tuple(SECOND))]
    assert reasons(source, [item]) == {"IMAGE_LISTED_TWICE": 1}


def test_a_document_that_is_left_out_is_not_what_tells_the_format(tmp_path: Path) -> None:
    for name in ("captions_val", "person_keypoints_val"):
        write_json(tmp_path / f"{name}.json", _document([POSED], _pose(1, FIRST)))
    assert recognised(tmp_path).why == "person_keypoints_val.json"


def test_annotations_of_several_documents_count_once(tmp_path: Path) -> None:
    """Ids of images and categories differ, and so do the types of numbers."""
    ring = [40, 10, 60, 10, 60, 30]
    cars = [_row(1, 1, FIRST), _row(2, 1, FIRST)]
    outline = _row(3, 1, SECOND, segmentation=[ring])
    same = [
        {**row, "id": 50 + row["id"], "image_id": 8, "category_id": 0} for row in [*cars, outline]
    ]
    same[2]["segmentation"] = [[float(value) for value in ring]]
    more = {**same[0], "id": 70, "bbox": THIRD}
    source, items = _read(
        tmp_path,
        all=_document(
            [CAR, PERSON],
            *cars,
            outline,
            _row(4, 2, THIRD),
            _row(5, 1, FIRST, image_id=2),
            a=1,
            b=2,
        ),
        train=_document([{**CAR, "id": 0}], *same, same[1], more, a=8),
    )
    whole, other = items
    # The pairs of equal cars are two, as in either document; one has three, which all count.
    assert [a["name"] for a in whole.annotations] == ["car", "car", "car", "person", "car", "car"]
    assert [box(a) for a in whole.annotations[4:]] == [tuple(FIRST), tuple(THIRD)]
    assert len({a["id"] for a in whole.annotations}) == 6
    assert (whole.split, len(other.annotations)) == ("train", 1)
    (issue,) = (issue for issue in source.issues if issue.reason == "ANNOTATION_TWICE")
    assert issue.item == "annotations/train.json"
    assert issue.message.startswith("3 annotations are also in annotations/all.json")
    assert not issue.annotations


def test_an_annotation_that_counts_once_keeps_what_each_document_says(tmp_path: Path) -> None:
    _, (item,) = _read(
        tmp_path,
        train=_document([CAR], _row(1, 1, FIRST, attributes={"hue": "red"})),
        whole=_document([CAR], _row(9, 1, FIRST, attributes={"hue": "blue", "age": 3}, score=0.5)),
    )
    (car,) = item.annotations
    assert (car["attributes"], car["confidence"]) == ({"hue": "red", "age": 3}, 0.5)


def test_what_has_no_geometry_is_named_in_every_document(tmp_path: Path) -> None:
    empty = _row(1, 1, FIRST)
    del empty["bbox"]
    source, items = _read(tmp_path, train=_document([CAR], empty), all=_document([CAR], empty))
    assert reasons(source, items)["BOX_WITHOUT_AREA"] == 2
