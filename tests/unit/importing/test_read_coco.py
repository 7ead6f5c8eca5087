"""COCO: boxes, outlines, masks and poses, each as its own readers understand it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.formats.common.source import ImportFailed
from services.importing.dataset import (
    ImportItem,
    ImportSource,
    NothingToImport,
    WrongUsage,
    read_dataset,
)
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    rings,
    shared,
    write_image,
    write_json,
    write_text,
)

# What pycocotools' compiled part answers NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WIDTH, HEIGHT = 40, 20
CATEGORIES: list[dict[str, Any]] = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
PERSON = {
    "id": 1,
    "name": "person",
    "keypoints": ["nose", "eye", "ear"],
    "skeleton": [[1, 2], [3, 2], [9, 1], [2, 2]],
}
SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]


def _read(
    root: Path, *annotations: dict[str, Any], categories: Any = None
) -> tuple[ImportSource, list[ImportItem]]:
    write_image(root / "images" / "a.jpg", WIDTH, HEIGHT)
    document_class = (categories or CATEGORIES)[0]["id"]
    document = {
        "images": [{"id": 5, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
        "categories": categories or CATEGORIES,
        "annotations": [
            {"id": index, "image_id": 5, "category_id": document_class, **annotation}
            for index, annotation in enumerate(annotations)
        ],
    }
    source = read_dataset("coco", root / "images", write_json(root / "c.json", document))
    return source, read_all(source)


def _even_odd(annotation: dict[str, Any]) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    flat = [[value for point in ring for value in point] for ring in rings(annotation)]
    for encoded in coco_mask.frPyObjects(flat, HEIGHT, WIDTH):
        mask ^= coco_mask.decode(encoded).astype(bool)
    return mask


def _as_coco_reads(segmentation: Any) -> NDArray[np.bool_]:
    encoded = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    encoded = coco_mask.merge(encoded) if isinstance(encoded, list) else encoded
    mask: NDArray[np.bool_] = coco_mask.decode(encoded).astype(bool)
    return mask


def test_boxes_and_classes(tmp_path: Path) -> None:
    source, (item,) = _read(
        tmp_path,
        {"bbox": [1, 2.25, 3, 4], "score": 0.5, "attributes": {"colour": "red"}},
        {"bbox": [-1, 0, 99, 1], "category_id": 3, "segmentation": [], "iscrowd": 1},
    )
    first, second = item.annotations
    assert [(c.name, c.type) for c in source.classes] == [("cat", "bbox"), ("dog", "bbox")]
    assert (first["name"], box(first), first["confidence"]) == ("dog", (1, 2.25, 3, 4), 0.5)
    assert first["attributes"] == {"colour": "red"}
    assert (second["name"], box(second)) == ("cat", (-1, 0, 99, 1))
    assert second["attributes"] == {"iscrowd": "true"}
    assert reasons(source, [item]) == {"OVER_THE_EDGE": 1}


def test_boxes_as_parts_of_the_sides_are_named(tmp_path: Path) -> None:
    boxes = [[0.25, 0.5, 0.5, 0.25], [0, 0, 1, 1], [0, 0, 0, 0]]
    source, (item,) = _read(tmp_path, *({"bbox": box} for box in boxes))
    assert not item.annotations
    assert reasons(source, [item]) == {"NOT_PIXELS": 3}
    assert sum(issue.annotations for issue in item.issues) == 3


def test_a_box_within_the_first_pixel_is_one_beside_others(tmp_path: Path) -> None:
    source, (item,) = _read(tmp_path, {"bbox": [0.25, 0.5, 0.5, 0.25]}, {"bbox": [5, 5, 2, 2]})
    assert len(item.annotations) == 2
    assert not reasons(source, [item])


def test_rows_without_a_name_count_once_with_the_files_that_they_may_be_of(tmp_path: Path) -> None:
    images: list[dict[str, Any]] = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 2},
        {"id": 3},
        {"id": 4},
    ]
    source = _listed(tmp_path, images, 1)
    assert len(read_all(source)) == 1
    found = {(issue.reason, issue.item): issue.images for issue in source.issues}
    assert found == {
        ("IMAGE_NOT_LISTED", "b.jpg"): 1,
        ("IMAGE_NOT_LISTED", "c.jpg"): 1,
        ("IMAGE_UNREADABLE", "c.json"): 1,
    }


def test_outlines_keep_their_numbers(tmp_path: Path) -> None:
    parts = [SQUARE, [20.5, 2, 30.125, 2, 30, 12]]
    source, (item,) = _read(tmp_path, {"bbox": [2, 2, 28.125, 10], "segmentation": parts})
    (polygon,) = item.annotations
    assert [[v for point in ring for v in point] for ring in rings(polygon)] == parts
    assert box(polygon) == (2, 2, 28.125, 10)
    assert source.classes[1].type == "polygon"
    assert not reasons(source, [item])


def test_parts_that_touch_keep_their_numbers(tmp_path: Path) -> None:
    source, (item,) = _read(tmp_path, {"segmentation": [SQUARE, [12, 2, 22, 2, 22, 12, 12, 12]]})
    assert len(rings(item.annotations[0])) == 2
    assert box(item.annotations[0]) == (2, 2, 20, 10)
    assert not reasons(source, [item])


@pytest.mark.parametrize(
    "other", [[8, 8, 18, 8, 18, 18, 8, 18], [4, 4, 10, 4, 10, 10], SQUARE, [0, 5, 30, 6, 0, 7]]
)
def test_parts_that_overlap_become_the_outline_of_their_union(
    tmp_path: Path, other: list[float]
) -> None:
    segmentation = [SQUARE, other]
    source, (item,) = _read(tmp_path, {"segmentation": segmentation})
    assert (_even_odd(item.annotations[0]) == _as_coco_reads(segmentation)).all()
    assert reasons(source, [item]) == {"RINGS_OVERLAP": 1}


@pytest.mark.parametrize("compressed", [True, False])
def test_masks_keep_every_pixel_and_hole(tmp_path: Path, compressed: bool) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[2:12, 3:20] = 1
    mask[5:8, 6:9] = 0
    mask[15, 30] = mask[16, 31] = 1
    mask[:, -1] = 1
    encoded = coco_mask.encode(np.asfortranarray(mask))
    counts: Any = encoded["counts"].decode()
    if not compressed:
        flat = np.concatenate([[0], mask.T.reshape(-1), [2]])
        ends = np.flatnonzero(np.diff(flat) != 0)
        counts = np.diff(ends, prepend=0).tolist()
    segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
    source, (item,) = _read(tmp_path, {"segmentation": segmentation, "iscrowd": 1})
    (polygon,) = item.annotations
    assert (_even_odd(polygon) == mask.astype(bool)).all()
    assert box(polygon) == (3, 0, 37, 20)
    assert not reasons(source, [item])


def test_poses(tmp_path: Path) -> None:
    source, (item,) = _read(
        tmp_path,
        {"keypoints": [1, 2, 2, 9, 9, 0, 3, 4, 1], "attributes": {"occluded": True, "age": 3}},
        {"keypoints": [0, 0, 0, 5, 6, 2, 0, 0, 0], "bbox": [5, 6, 0, 0], "score": 0.25},
        {"keypoints": [0] * 9, "bbox": [1, 1, 2, 2]},
        categories=[PERSON, {"id": 2, "name": "eye"}],
    )
    nose, ear, eye, whole = item.annotations
    assert [a["name"] for a in item.annotations] == ["nose", "ear", "eye", "person"]
    assert nose["keypoint"] == {"x": 1, "y": 2}
    assert (nose["instance_id"], ear["instance_id"], eye["instance_id"]) == (1, 1, 2)
    assert nose["attributes"] == {"age": 3}
    assert ear["attributes"] == {"age": 3, "occluded": "true"}
    assert eye["confidence"] == 0.25
    assert whole["type"] == "bbox"
    person, *others = source.classes
    assert person.skeleton is not None
    assert [node.name for node in person.skeleton.nodes] == ["nose", "eye", "ear"]
    assert person.skeleton.edges == ((0, 1), (2, 1))
    assert [(c.name, c.type) for c in others] == [
        ("nose", "keypoint"),
        ("ear", "keypoint"),
        ("eye", "bbox"),
    ]
    assert not reasons(source, [item])


def test_a_lone_point_is_no_object(tmp_path: Path) -> None:
    source, (item,) = _read(tmp_path, {"keypoints": [1, 2, 2]}, {"keypoints": [1, 2, 2, 3, 3, 1]})
    assert ["instance_id" in a for a in item.annotations] == [False, True, True]
    assert {a["name"] for a in item.annotations} == {"dog"}
    assert source.classes[1].type == "keypoint"
    assert source.classes[1].skeleton is None


@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        ((2, 1, 0), [(1, False), (1, True)]),
        # What pose estimators write there.
        ((0.9, 0.25, 1), [(0.9, False), (0.25, False), (1, False)]),
        ((0.5, 0, 0.5), [(0.5, False), (0.5, False)]),
        ((3, 1, -1), [(1, False), (1, True)]),
    ],
)
def test_flags_that_are_none(
    tmp_path: Path, flags: tuple[float, ...], taken: list[tuple[float, bool]]
) -> None:
    joints = [value for flag in flags for value in (1, 2, flag)]
    source, (item,) = _read(tmp_path, {"keypoints": joints}, categories=[PERSON])
    found = [(a["confidence"], "occluded" in a["attributes"]) for a in item.annotations]
    assert found == taken
    is_odd = not {0, 1, 2}.issuperset(flags)
    assert reasons(source, [item]) == ({"VISIBILITY_UNREADABLE": 1} if is_odd else {})


def test_joints_that_have_no_name_are_no_pose(tmp_path: Path) -> None:
    row = {"keypoints": [1, 2, 2] * 4, "bbox": [0, 0, 9, 9]}
    source, (item,) = _read(tmp_path, row, categories=[PERSON])
    assert [a["type"] for a in item.annotations] == ["bbox"]
    assert reasons(source, [item]) == {"KEYPOINTS_UNREADABLE": 1}


def test_a_skeleton_may_count_from_zero(tmp_path: Path) -> None:
    person = {**PERSON, "skeleton": [[0, 1], [2, 1], [3, 0]]}
    source, items = _read(tmp_path, categories=[person])
    skeleton = source.classes[0].skeleton
    assert skeleton is not None
    assert skeleton.edges == ((0, 1), (2, 1))
    assert reasons(source, items) == {"SKELETON_FROM_ZERO": 1}


def test_what_poses_lose_is_named(tmp_path: Path) -> None:
    twin = {**PERSON, "id": 2, "name": "robot"}
    source, (item,) = _read(
        tmp_path,
        {"category_id": 2, "keypoints": [1, 2, 2] * 3, "bbox": [0, 0, 9, 9]},
        {"category_id": 1, "keypoints": [1, 2], "bbox": [0, 0, 9, 9]},
        categories=[PERSON, twin],
    )
    assert reasons(source, [item]) == {
        "SHAPE_OF_POSE": 1,
        "POSE_AMBIGUOUS": 1,
        "KEYPOINTS_UNREADABLE": 1,
    }
    assert [a["type"] for a in item.annotations] == ["keypoint"] * 3 + ["bbox"]


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    source, (item,) = _read(
        tmp_path,
        {"bbox": [1, 1, 0, 5]},
        {"bbox": None},
        {"bbox": [1, 1, "wide", 2]},
        {"bbox": [1, 1, 2, 2, 0.5]},
        {"bbox": [1, 1, 2, 2], "category_id": 99},
        {"bbox": [1, 1, 2, 2], "image_id": 99},
        {"bbox": [1, 1, 2, 2], "score": 7, "attributes": "red"},
        {"bbox": [1, 1, 2, 2], "segmentation": [[1, 1, 2, 2]]},
        {"bbox": [1, 1, 2, 2], "segmentation": SQUARE[:4]},
        {"bbox": [1, 1, 2, 2], "segmentation": {"size": [20, 40], "counts": [3]}},
        {"bbox": [1, 1, 2, 2], "segmentation": {"size": [2, 2], "counts": [4]}},
        {"bbox": [1, 1, 2, 2], "segmentation": {"size": [20, 40], "counts": [800]}},
        {"segmentation": {"counts": "abc"}},
    )
    assert len(item.annotations) == 6
    assert all(a["type"] == "bbox" for a in item.annotations)
    assert any("bbox has 5 numbers" in issue.message for issue in item.issues)
    found = reasons(source, [item])
    assert found.pop("RING_UNREADABLE") == 1 + 4
    assert found == {
        "BOX_WITHOUT_AREA": 5,
        "CLASS_UNKNOWN": 1,
        "IMAGE_UNKNOWN": 1,
        "SCORE_OUT_OF_RANGE": 1,
        "ATTRIBUTES_UNREADABLE": 1,
        "MASK_UNREADABLE": 3,
        "MASK_EMPTY": 1,
    }


@pytest.mark.parametrize(
    ("segmentation", "changed"),
    [
        ([SQUARE, [1, 2, "a", 4, 5, 6], [1, 2]], 1),
        ([[1, 1, 2, 2]], 1),
        ({"size": [20, 40], "counts": [3]}, 1),
        # Of nothing, nothing is lost.
        ([SQUARE, []], 0),
        ([[]], 0),
        ({"size": [20, 40], "counts": [800]}, 0),
    ],
)
def test_an_outline_that_comes_in_cut_is_a_change(
    tmp_path: Path, segmentation: Any, changed: int
) -> None:
    _, (item,) = _read(tmp_path, {"bbox": [1, 1, 2, 2], "segmentation": segmentation})
    assert len(item.annotations) == 1
    assert item.issues
    assert sum(issue.changed for issue in item.issues) == changed
    # What does not come in at all is left out, and nothing else.
    _, (item,) = _read(tmp_path, {"segmentation": [[1, 1, 2, 2]]})
    assert [(issue.changed, issue.annotations) for issue in item.issues] == [(0, 0), (0, 1)]


@pytest.mark.parametrize("far", [[1e308] * 4, [1, 1, 1e200, 1e200]])
def test_boxes_beyond_all_numbers_are_refused(tmp_path: Path, far: list[float]) -> None:
    _, (item,) = _read(tmp_path, {"bbox": far})
    (issue,) = item.issues
    assert (issue.reason, issue.annotations) == ("BOX_WITHOUT_AREA", 1)
    assert "reaches farther than numbers do" in issue.message


@pytest.mark.parametrize(
    ("name", "said"), [("", "is empty"), ("\ud800.jpg", "half of a character"), (7, "is a number")]
)
def test_a_name_that_is_none_says_why(tmp_path: Path, name: Any, said: str) -> None:
    source = _listed(tmp_path, [{"id": 1, "file_name": name}, {"id": 2, "file_name": "a.jpg"}])
    (issue,) = (issue for issue in source.issues if issue.reason == "IMAGE_UNREADABLE")
    assert said in issue.message


def test_images_and_files_that_do_not_pair_are_named(tmp_path: Path) -> None:
    for name in ("train/a.jpg", "b.jpg", "extra.jpg"):
        write_image(tmp_path / name)
    row = {"category_id": 7, "bbox": [1, 1, 2, 2]}
    document = {
        "images": [
            {"id": 1, "file_name": "a.jpg"},
            {"id": 2, "file_name": "b.jpg"},
            {"id": 2, "file_name": "extra.jpg"},
            {"id": 3, "file_name": "gone.jpg"},
            {"id": 4, "file_name": "train/a.jpg"},
            {"file_name": "b.jpg"},
        ],
        "categories": CATEGORIES,
        "annotations": [{"image_id": image, "id": 1, **row} for image in (1, 4, 4, 3)],
    }
    source = read_dataset("coco", tmp_path, write_json(tmp_path / "c.json", document))
    items = read_all(source)
    found = {item.path: len(item.annotations) for item in items}
    assert found == {"b.jpg": 0, "extra.jpg": 0, "train/a.jpg": 3}
    assert reasons(source, items) == {
        "IMAGE_ID_TWICE": 1,
        "IMAGE_FILE_MISSING": 1,
        "IMAGE_LISTED_TWICE": 1,
        "IMAGE_UNREADABLE": 1,
    }


def _listed(root: Path, images: list[dict[str, Any]], *ids: Any) -> ImportSource:
    """A dataset of three files, and a document with these images and annotations of these ids."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_image(root / name)
    row = {"category_id": 7, "bbox": [1, 1, 2, 2]}
    document = {
        "images": images,
        "categories": CATEGORIES,
        "annotations": [{"image_id": key, "id": index, **row} for index, key in enumerate(ids)],
    }
    return read_dataset("coco", root, write_json(root / "c.json", document))


def test_annotations_of_an_id_that_two_images_have_are_of_neither(tmp_path: Path) -> None:
    """Documents put together without new ids."""
    images = [{"id": key, "file_name": f"{name}.jpg"} for key, name in ((1, "a"), (1, "b"))]
    source = _listed(tmp_path, [*images, {"id": 2, "file_name": "c.jpg"}], 1, 1, 2)
    items = read_all(source)
    assert [(item.path, len(item.annotations)) for item in items] == [("c.jpg", 1)]
    (issue,) = source.issues
    assert (issue.reason, issue.images, issue.annotations) == ("IMAGE_ID_TWICE", 2, 2)
    assert "stands for 2 images (a.jpg, b.jpg)" in issue.message


def test_the_same_image_once_more_is_the_same(tmp_path: Path) -> None:
    names = ("a.jpg", "a.jpg", "./a.jpg", "b.jpg", "c.jpg")
    images = [{"id": name.strip("./"), "file_name": name} for name in names]
    source = _listed(tmp_path, images, "a.jpg", "b.jpg")
    assert [len(item.annotations) for item in read_all(source)] == [1, 1, 0]
    assert not source.issues


@pytest.mark.parametrize(
    ("file", "names", "taken"),
    [
        ("x.jpg", ("d1/x.jpg", "d2/x.jpg"), []),
        ("x.jpg", ("x.jpg", "d1/x.jpg", "d2/x.jpg"), [("x.jpg", 1)]),
        ("IMG.jpg", ("IMG.jpg", "IMG.JPG"), [("IMG.jpg", 1)]),
        ("a.jpg", ("A.jpg", "a.jpg"), [("a.jpg", 1)]),
        ("a.jpg", ("a.jpg", "train/a.jpg"), [("a.jpg", 2)]),
        ("a b.jpg", ("a b.jpg", "c\\a%20b.jpg", "a b"), [("a b.jpg", 3)]),
    ],
)
@pytest.mark.parametrize("documents", [1, 2])
def test_different_images_never_share_a_file(
    tmp_path: Path, file: str, names: tuple[str, ...], taken: list[tuple[str, int]], documents: int
) -> None:
    """Nobody knows whose file it is, unless one is called just as it is."""
    write_image(tmp_path / "images" / file)
    write_image(tmp_path / "images" / "z.jpg")
    listed = list(enumerate((*names, "z.jpg")))
    for part in range(documents):
        own = [{"id": index, "file_name": name} for index, name in listed[part::documents]]
        rows = [
            {"id": index, "image_id": index, "category_id": 7, "bbox": [1, 1, 2, 2 + index]}
            for index, _ in listed[part::documents]
        ]
        document = {"images": own, "categories": CATEGORIES, "annotations": rows}
        write_json(tmp_path / "documents" / f"{part}.json", document)
    source = read_dataset("coco", tmp_path / "images", tmp_path / "documents")
    counts = [(item.path, len(item.annotations)) for item in read_all(source)]
    assert counts == [*taken, ("z.jpg", 1)]
    left = [issue for issue in source.issues if issue.reason == "IMAGE_AMBIGUOUS"]
    out = len(names) - sum(count for _, count in taken)
    assert len(left) == out
    assert sum(issue.images for issue in source.issues) == out
    assert sum(issue.annotations for issue in source.issues) == out


def test_a_name_may_lack_its_extension(tmp_path: Path) -> None:
    images = [{"id": index, "file_name": name} for index, name in enumerate("abc")]
    source = _listed(tmp_path, images, 0, 1)
    assert [len(item.annotations) for item in read_all(source)] == [1, 1, 0]
    assert not source.issues


def test_an_import_of_nothing_says_why(tmp_path: Path) -> None:
    with pytest.raises(NothingToImport, match="None of the images") as caught:
        _listed(tmp_path, [{"id": 1, "file_name": "e.jpg"}, {"id": 2}], 1)
    found = {issue.reason: (issue.images, issue.annotations) for issue in caught.value.issues}
    assert found == {
        "IMAGE_FILE_MISSING": (1, 1),
        "IMAGE_NOT_LISTED": (1, 0),
        "IMAGE_UNREADABLE": (0, 0),
    }


def test_a_name_may_stand_under_filename(tmp_path: Path) -> None:
    """HIT-UAV writes it so."""
    source = _listed(tmp_path, [{"id": 1, "filename": "a.jpg"}], 1)
    assert [len(item.annotations) for item in read_all(source)] == [1]


def test_nan_and_a_byte_order_mark_do_not_stop_the_rest(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": CATEGORIES,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [float("nan"), 1, 2, 2]},
            {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 2]},
        ],
    }
    file = write_text(tmp_path / "c.json", "\ufeff" + json.dumps(document))
    source = read_dataset("coco", tmp_path, file)
    (item,) = read_all(source)
    assert len(item.annotations) == 1
    assert reasons(source, [item]) == {"BOX_WITHOUT_AREA": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "images"),
        ("", "is empty"),
        ("<html>", "not JSON: .* in line 1, column 1"),
        ('{"images": [],}', "not JSON: .* in line 1, column 15"),
        ('{"images": [], "annotations": [{}]}', "no categories"),
        ('{"images": [], "annotations": {}}', "`annotations` must be a list .* is an object"),
        ('{"images": [], "categories": [{"id": [1], "name": "a"}]}', "id of a category is a list"),
        ('{"images": [], "categories": [{"id": 1}]}', "name of category 1 is missing"),
        ('{"images": [], "categories": ["a"]}', "a category is text"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": ""}]}', "class 0"),
        (
            '{"images": [], "annotations": [], '
            '"categories": [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}]}',
            "twice",
        ),
        (
            '{"images": [], "annotations": [], '
            '"categories": [{"id": 1, "name": "a", "keypoints": ["b", "b"]}]}',
            "twice",
        ),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', "None of"),
    ],
)
def test_a_bad_document_is_a_clear_error(tmp_path: Path, text: str, words: str) -> None:
    write_image(tmp_path / "a.jpg")
    with pytest.raises(ImportFailed, match=words):
        read_dataset("coco", tmp_path, write_text(tmp_path / "c.json", text))


def test_a_folder_must_hold_one_document(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    with pytest.raises(ImportFailed, match="found: none"):
        read_dataset("coco", tmp_path, tmp_path)
    with pytest.raises(WrongUsage, match="does not exist"):
        read_dataset("coco", tmp_path, tmp_path / "c.json")


@pytest.mark.parametrize(
    ("folder", "file", "joints"),
    [
        ("zebra", "test_zebra.json", 9),
        ("fly", "test_fly.json", 32),
        ("locust", "test_locust.json", 35),
        ("coco_person", "test_coco.json", 17),
    ],
)
def test_real_poses(folder: str, file: str, joints: int) -> None:
    root = shared("keypoints") / folder
    document = json.loads((root / file).read_text())
    source = read_dataset("coco", root, root / file)
    items = read_all(source)
    assert source.classes[0].skeleton is not None
    assert len(source.classes[0].skeleton.nodes) == joints
    names = [node.name for node in source.classes[0].skeleton.nodes]
    images = {image["id"]: image["file_name"] for image in document["images"]}
    for item in items:
        rows = [r for r in document["annotations"] if images[r["image_id"]] == item.path]
        placed: dict[int, dict[str, Any]] = {}
        for annotation in item.annotations:
            placed.setdefault(annotation["instance_id"], {})[annotation["name"]] = annotation
        assert len(placed) == len(rows)
        for row, found in zip(rows, placed.values(), strict=True):
            for place, name in enumerate(names):
                x, y, v = row["keypoints"][3 * place : 3 * place + 3]
                assert (name in found) == (v > 0)
                if v:
                    assert found[name]["keypoint"] == {"x": x, "y": y}
                    assert found[name]["attributes"] == ([] if v == 2 else {"occluded": "true"})
