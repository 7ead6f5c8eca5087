"""COCO archives, judged by pycocotools and against their source."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.writer import Rendered
from services.formats.registry import FORMATS
from tests.unit.formats.archives import (
    CLASSES,
    annotation,
    assemble,
    box,
    image,
    info,
    keypoint,
    losses,
    polygon,
)
from tests.unit.formats.generated import HEIGHT, WIDTH, annotation_lists

# numpy's word about a method of pycocotools that only its `decode` calls.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

INSTANCES = "annotations/instances_default.json"
POSES = "annotations/person_keypoints_default.json"
SQUARE = [(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)]
HOLE = [(15.0, 15.0), (25.0, 15.0), (25.0, 25.0), (15.0, 25.0)]


def load(text: bytes) -> Any:
    """pycocotools' index of a document."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    coco = COCO()
    coco.dataset = json.loads(text, parse_constant=refuse)
    coco.createIndex()
    return coco


def export(*annotations: dict[str, Any], **fields: Any) -> tuple[list[dict[str, Any]], Rendered]:
    files, rendered = assemble(info("coco", **fields), [image(annotations)])
    return load(files[INSTANCES]).dataset["annotations"], rendered


@given(st.lists(annotation_lists(), max_size=3))
def test_every_annotation_is_there_or_reported(lists: list[list[dict[str, Any]]]) -> None:
    images, first = [], 1
    for number, annotations in enumerate(lists, 1):
        images.append(image(annotations, number, first, (WIDTH, HEIGHT)))
        first += len(annotations)
    files, rendered = assemble(info("coco"), images)
    coco = load(files[INSTANCES])
    rows = coco.dataset["annotations"]
    assert len(coco.anns) == len(rows) == rendered.annotation_count
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert len(coco.imgs) == len(lists)
    assert sorted(coco.cats) == list(range(1, len(CLASSES) + 1))
    written = sum(row.get("num_keypoints", 1) for row in rows)
    assert written + rendered.losses.total("dropped") == first - 1
    for row in rows:
        check_row(row, coco.cats[row["category_id"]])


def check_row(row: dict[str, Any], category: dict[str, Any]) -> None:
    x, y, w, h = row["bbox"]
    assert x >= 0
    assert y >= 0
    assert w > 0
    assert h > 0
    assert x + w <= WIDTH + 1e-6
    assert y + h <= HEIGHT + 1e-6
    assert row["area"] > 0
    assert isinstance(row["attributes"], dict)
    assert row["iscrowd"] == 0
    if isinstance(row["segmentation"], dict):
        assert row["area"] == coco_mask.area(row["segmentation"])
    for ring in row["segmentation"] if isinstance(row["segmentation"], list) else []:
        assert len(ring) >= 6
        assert all(0 <= value <= WIDTH for value in ring[::2])
        assert all(0 <= value <= HEIGHT for value in ring[1::2])
    if "keypoints" in row:
        assert len(row["keypoints"]) == 3 * len(category.get("keypoints", [0]))
        flags = row["keypoints"][2::3]
        assert row["num_keypoints"] == sum(flag > 0 for flag in flags)
        for i, flag in enumerate(flags):
            assert flag in (0, 1, 2)
            assert flag or row["keypoints"][3 * i : 3 * i + 2] == [0, 0]


_PLAIN = st.lists(
    st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=3, max_size=3000
).filter(lambda ring: min(np.ptp(ring, axis=0)) > 0.01)


@given(_PLAIN)
def test_plain_polygons_come_back_as_they_were(ring: list[tuple[float, float]]) -> None:
    files, rendered = assemble(info("coco"), [image([polygon("a", ring)], size=(WIDTH, HEIGHT))])
    rows = load(files[INSTANCES]).dataset["annotations"]
    if rendered.annotation_count:
        assert rows[0]["segmentation"] == [[value for point in ring for value in point]]
        assert "clamped" not in rendered.losses.losses
    else:
        assert rendered.losses.total("dropped") == 1


def test_boxes_come_back_as_they_were() -> None:
    rows, rendered = export(
        box("a", 1.25, 2, 30.1, 40.7, attributes={"color": "red", "wheels": 4}),
        box("b", 0, 0, 100, 80, confidence=0.5, attributes=["night", {"name": "n", "value": 2}]),
    )
    assert [row["bbox"] for row in rows] == [[1.25, 2, 30.1, 40.7], [0, 0, 100, 80]]
    assert [row["area"] for row in rows] == [30.1 * 40.7, 8000]
    assert [row["attributes"] for row in rows] == [
        {"color": "red", "wheels": 4},
        {"night": True, "n": 2},
    ]
    assert [row.get("score") for row in rows] == [None, 0.5]
    assert rendered.losses.losses == {}


def test_what_reaches_over_the_edge_is_cut_and_reported() -> None:
    rows, rendered = export(
        box("over", -10, 70, 30, 30),
        box("off", 200, 0, 10, 10),
        box("flat", 10, 10, 0, 5),
        box("rounding", 0.1, 0, 99.90000000000001, 10),
        polygon("cut", [(-10, 10), (10, 0), (10, 20)]),
        polygon("line", [(10, 10), (20, 20), (15, 15)]),
    )
    assert [row["bbox"] for row in rows] == [
        [0, 70, 20, 10],
        [0.1, 0, 99.9, 10],
        [0, 0, 10, 20],
    ]
    assert rows[2]["area"] == 150
    assert losses(rendered.losses) == {
        "clamped": ["cut", "over"],
        "dropped": ["flat", "line", "off"],
    }


def test_coordinates_beyond_reason_are_dropped() -> None:
    far = {"cx": 1e308, "cy": 1e308, "w": 1e308, "h": 1e308, "angle": 45.0}
    rows, rendered = export(
        box("a", 1e300, 0, 1e308, 1),
        box("b", 1, 1, 5, 5, oriented_box=far),
        keypoint("c", "nose", 1, -1e300),
        polygon("d", [(1, 1), (5, 1), (1e300, 5)]),
    )
    assert rows == []
    assert losses(rendered.losses) == {"dropped": ["a", "b", "c", "d"]}


def test_only_polygons_with_holes_become_masks() -> None:
    island = [(18.0, 18.0), (22.0, 18.0), (22.0, 22.0), (18.0, 22.0)]
    second = [(x + 40, y) for x, y in SQUARE]
    touching = [(x + 20, y) for x, y in SQUARE]
    rows, rendered = export(
        polygon("hole", SQUARE, HOLE),
        polygon("island", SQUARE, HOLE, island, second),
        polygon("parts", SQUARE, second),
        polygon("touching", SQUARE, touching),
        polygon("crossing", SQUARE, [(x + 10, y + 10) for x, y in SQUARE]),
        polygon("eye", SQUARE, [(15.0, 15.0), (15.01, 15.0), (15.0, 15.01)]),
    )
    assert [isinstance(row["segmentation"], dict) for row in rows] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert [row["area"] for row in rows] == [300, 716, 800, 800, 600, 400]
    assert [len(row["segmentation"]) for row in rows[2:4]] == [2, 2]
    assert rows[1]["bbox"] == [10, 10, 60, 20]
    assert losses(rendered.losses) == {"degraded": ["crossing", "eye", "hole", "island"]}


def test_a_hole_that_leaves_no_pixel_is_filled_and_reported() -> None:
    tiny = [(10.0, 10.0), (10.08, 10.0), (10.08, 10.08), (10.0, 10.08)]
    inner = [(10.02, 10.02), (10.06, 10.02), (10.06, 10.06), (10.02, 10.06)]
    rows, rendered = export(polygon("tiny", tiny, inner))
    assert len(rows[0]["segmentation"]) == 1
    assert rows[0]["area"] == pytest.approx(0.0064)
    assert losses(rendered.losses) == {"degraded": ["tiny"]}


def test_a_rotated_box_keeps_its_box_its_corners_and_its_angle() -> None:
    turned = {"cx": 50.0, "cy": 40.0, "w": 20.0, "h": 20.0, "angle": 45.0}
    side = 20 * 2**0.5
    rows, rendered = export(
        box("turned", 50 - side / 2, 40 - side / 2, side, side, oriented_box=turned),
        box("straight", 10, 10, 20, 20, oriented_box={**turned, "angle": 0.0}),
        box("plain", 10, 10, 20, 20, oriented_box=None),
    )
    assert rows[0]["attributes"] == {"rotation": 45.0}
    assert rows[0]["area"] == pytest.approx(400)
    assert np.allclose(rows[0]["bbox"], [50 - side / 2, 40 - side / 2, side, side])
    corners = np.reshape(rows[0]["segmentation"][0], (4, 2))
    assert np.allclose(corners[0], (50, 40 - side / 2))
    assert [row["segmentation"] for row in rows[1:]] == [[], []]
    assert losses(rendered.losses) == {"degraded": ["turned"]}


def test_polylines_are_dropped_and_reported() -> None:
    line = annotation(
        "polyline", "line", "lane", polyline={"path": [{"x": 1, "y": 1}, {"x": 5, "y": 5}]}
    )
    rows, rendered = export(line, box("a", 1, 1, 5, 5))
    assert [row["id"] for row in rows] == [2]
    assert losses(rendered.losses) == {"dropped": ["line"]}


def test_one_object_for_each_pose() -> None:
    annotations = [
        keypoint("a", "left eye", 20, 10, 1, attributes={"occluded": "true", "age": "old"}),
        box("b", 1, 1, 5, 5),
        keypoint("c", "nose", 10, 20, 1),
        keypoint("d", "nose", 70, 70, 2),
        keypoint("e", "landmark", 5, 5),
        keypoint("f", "person", 50, 50),
        keypoint("g", "nose", 120, 70, 1),
    ]
    files, rendered = assemble(info("coco"), [image(annotations, first=11), image(number=2)])
    coco, poses = load(files[INSTANCES]), load(files[POSES])
    rows = {row["id"]: row for row in coco.dataset["annotations"]}
    assert list(rows) == [11, 12, 14, 15, 16, 17]
    assert rows[11]["keypoints"] == [10, 20, 2, 20, 10, 1, 0, 0, 0]
    assert rows[11]["num_keypoints"] == 2
    assert rows[11]["bbox"] == [10, 10, 10, 10]
    assert rows[11]["attributes"] == {"age": "old"}
    assert rows[14]["bbox"] == [68, 68, 4, 4]
    assert rows[15]["keypoints"] == [5, 5, 2]
    assert "keypoints" not in rows[16]
    # The second nose of one object: on its own, at the edge of the image.
    assert rows[17]["keypoints"] == [100, 70, 2]
    assert coco.cats[rows[17]["category_id"]]["name"] == "nose"
    assert losses(rendered.losses) == {
        "clamped": ["g"],
        "degraded": ["f", "g"],
        "unannotated": ["image-2"],
    }
    assert list(poses.anns) == [11, 14]
    assert list(poses.imgs) == [1, 2]
    assert [(c["id"], c["keypoints"], c["skeleton"]) for c in poses.cats.values()] == [
        (4, ["nose", "left eye", "right eye"], [[1, 2], [1, 3]])
    ]
    assert all("keypoints" in row for row in poses.anns.values())


def test_joints_that_differ_in_an_attribute_are_reported() -> None:
    rows, rendered = export(
        keypoint("a", "nose", 1, 1, 1, attributes={"age": "old"}, confidence=0.5),
        keypoint("b", "left eye", 5, 5, 1, attributes={"age": "young"}),
    )
    assert rows[0]["attributes"] == {"age": "old"}
    assert rows[0]["score"] == 0.5
    assert losses(rendered.losses) == {"degraded": ["b"]}


def test_a_class_filter_renumbers_the_classes_in_their_order() -> None:
    annotations = [
        box("a", 1, 1, 5, 5),
        polygon("b", SQUARE),
        keypoint("c", "nose", 1, 1, 1),
        keypoint("d", "left eye", 2, 2, 1),
        keypoint("e", "landmark", 2, 2),
    ]
    export_info = info("coco", class_filter=("person", "car"))
    files, rendered = assemble(export_info, [image(annotations)])
    coco = load(files[INSTANCES])
    assert [(c["id"], c["name"]) for c in coco.cats.values()] == [(1, "car"), (2, "person")]
    assert {row["id"]: row["category_id"] for row in coco.anns.values()} == {1: 1, 3: 2}
    assert rendered.annotation_count == 2
    files, _ = assemble(info("coco", class_filter=("nose", "car")), [image(annotations)])
    assert POSES not in files
    coco = load(files[INSTANCES])
    assert {row["id"]: row["category_id"] for row in coco.anns.values()} == {1: 1, 3: 2}
    assert coco.anns[3]["keypoints"] == [1, 1, 2]


def test_each_split_is_a_dataset_with_the_same_classes() -> None:
    export_info = info("coco", organize_by_split=True)
    images = [
        image([box(f"a{number}", 1, 1, 5, 5)], number, number, split=split)
        for number, split in enumerate(("train", "val", "test", None), 1)
    ]
    files, _ = assemble(export_info, images)
    categories, found = [], {}
    for folder in ("train", "valid", "test"):
        coco = load(files[f"{folder}/annotations/instances_{folder}.json"])
        found[folder] = sorted(coco.imgs)
        assert sorted(row["image_id"] for row in coco.anns.values()) == found[folder]
        assert f"{folder}/annotations/person_keypoints_{folder}.json" in files
        categories.append(coco.dataset["categories"])
    assert found == {"train": [1, 4], "valid": [2], "test": [3]}
    assert categories[0] == categories[1] == categories[2]
    manifest = json.loads(files["manifest.json"])
    assert [row["file"] for row in manifest["files"]] == [
        "train/images/día/1.jpg",
        "valid/images/día/2.jpg",
        "test/images/día/3.jpg",
        "train/images/día/4.jpg",
    ]


def test_documents_do_not_depend_on_earlier_exports() -> None:
    """One format object serves every export of a worker."""
    one = [image([box("a", 1, 1, 5, 5)])]
    everything, filtered = info("coco"), info("coco", class_filter=("car",))
    first = assemble(everything, one)[0]
    assert assemble(filtered, one)[0] != first
    assert assemble(everything, one)[0] == first


def source_file() -> Path:
    path = Path(__file__).parents[4] / "shared/data/coco_cc/polygons_with_holes.json"
    if not path.is_file():
        pytest.skip("the shared data set coco_cc is not beside the project")
    return path


def test_real_polygons_keep_their_raster_and_only_real_holes_are_masks() -> None:
    segments = json.loads(source_file().read_bytes())
    size = (640, 640)
    annotations, with_holes = [], set()
    for number, segment in enumerate(segments):
        rings = [
            ring for part in segment["polygons"] for ring in (part["exterior"], *part["holes"])
        ]
        annotations.append(polygon(str(number), rings and rings[0], *rings[1:]))
        if any(part["holes"] for part in segment["polygons"]):
            with_holes.add(number)
    export_info: ExportInfo = info("coco")
    one: ExportImage = image(annotations, first=0, size=size)
    files, rendered = assemble(export_info, [one])
    coco = load(files[INSTANCES])
    coco.imgs[1].update(width=size[0], height=size[1])
    assert len(coco.anns) == len(segments) == rendered.annotation_count
    masks = {number for number, row in coco.anns.items() if isinstance(row["segmentation"], dict)}
    assert masks == with_holes
    assert len(with_holes) == 38
    for number, row in coco.anns.items():
        paths = annotations[number]["polygon"]["paths"]
        expected = np.zeros(size[::-1], np.uint8)
        for path in paths:
            flat = [float(value) for point in path for value in (point["x"], point["y"])]
            expected ^= coco_mask.decode(coco_mask.frPyObjects([flat], size[1], size[0])[0])
        assert np.array_equal(coco.annToMask(row), expected)


@pytest.mark.parametrize(
    ("split", "organize", "name", "file_name"),
    [
        (None, False, "default/a.jpg", "default_/a~1.jpg"),
        (None, False, "DEFAULT/x/a", "DEFAULT_/x/a~1"),
        (None, False, "train/a.jpg", "train/a.jpg"),
        (None, False, "x/default/a.jpg", "x/default/a.jpg"),
        (None, False, "default", "default"),
        ("val", True, "valid/a~1.jpg", "valid_/a~1.jpg"),
        ("val", True, "val/a.jpg", "val/a.jpg"),
        (None, True, "train/a.jpg", "train_/a~1.jpg"),
    ],
)
def test_no_folder_is_named_like_the_subset(
    split: str | None, organize: bool, name: str, file_name: str
) -> None:
    export = info("coco", organize_by_split=organize)
    one = image([box("a", 1, 1, 5, 5)], split=split, path=name, name=name)
    files, rendered = assemble(export, [one])
    subset = {None: "train", "val": "valid"}[split] if organize else "default"
    folder = f"{subset}/" if organize else ""
    document = orjson.loads(files[f"{folder}annotations/instances_{subset}.json"])
    assert [row["file_name"] for row in document["images"]] == [file_name]
    assert FORMATS["coco"].writer.image_path(one, export) == f"{folder}images/{file_name}"
    codes = {loss.code for loss in rendered.losses.losses.get("renamed", {}).values()}
    assert codes == ({"image.folder_renamed"} if file_name != name else set())


@pytest.mark.parametrize(
    ("given", "expected", "code"),
    [
        (None, [10, 10, 20, 20], None),
        ((9.5, 9, 21, 22.25), [9.5, 9, 21, 22.25], None),
        ((-1e-9, 10, 30, 20), [0, 10, 30 - 1e-9, 20], None),
        ((-5, 60, 50, 50), [0, 60, 45, 20], "outline.box_clamped"),
        ((-50, 10, 70, 20), [0, 10, 20, 20], "outline.box_clamped"),
        ((200, 0, 5, 5), [10, 10, 20, 20], "outline.box_replaced"),
        ((10, 10, 0, 5), [10, 10, 20, 20], "outline.box_replaced"),
        ((10, 10, 5, -5), [10, 10, 20, 20], "outline.box_replaced"),
        ((1e300, 0, 5, 5), [10, 10, 20, 20], "outline.box_replaced"),
    ],
)
def test_an_outline_keeps_its_box(
    given: tuple[float, ...] | None, expected: list[float], code: str | None
) -> None:
    square = [(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)]
    box: dict[str, Any] = {"bounding_box": dict(zip("xywh", given, strict=True))} if given else {}
    files, rendered = assemble(info("coco"), [image([polygon("a", square, **box)])])
    document = orjson.loads(files["annotations/instances_default.json"])
    (row,) = document["annotations"]
    assert row["bbox"] == expected
    assert row["area"] == 400
    rows = [row for rows in rendered.losses.to_json().values() for row in rows]
    assert [(row["code"], row["ids"]) for row in rows] == ([(code, ["a"])] if code else [])


def test_an_outline_and_its_box_over_the_edge_are_one_loss() -> None:
    square = [(-10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (-10.0, 30.0)]
    given = {"x": -10, "y": 10, "w": 40, "h": 20}
    files, rendered = assemble(info("coco"), [image([polygon("a", square, bounding_box=given)])])
    document = orjson.loads(files["annotations/instances_default.json"])
    assert document["annotations"][0]["bbox"] == [0, 10, 30, 20]
    rows = [row for rows in rendered.losses.to_json().values() for row in rows]
    assert [(row["code"], row["count"]) for row in rows] == [("shape.clamped", 1)]
