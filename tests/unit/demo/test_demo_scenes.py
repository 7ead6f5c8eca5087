"""The demo dataset: the same every time, valid, and rich enough to show what exports do."""

import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from services.catalog.annotations import normalise
from services.catalog.model import IMAGE_STATUSES, SPLITS, DatasetClass
from services.demo.dataset import classes
from services.demo.dataset.classes import JOINTS
from services.demo.dataset.labels import box_corners
from services.demo.dataset.scenes import IMAGE_COUNT, Scene, scenes, write

#: As an import reads them.
CLASSES = tuple(map(DatasetClass.from_json, classes.CLASSES))

_DIGEST = """
from tests.unit.demo.test_demo_scenes import digest
from services.demo.dataset.scenes import scenes
print(digest(scenes()))
"""


def digest(dataset: Iterator[Scene]) -> str:
    """One sum over everything a dataset is made of."""
    sums = hashlib.sha256()
    for scene in dataset:
        sums.update(scene.jpeg)
        sums.update(orjson.dumps([scene.path, scene.status, scene.split, scene.annotations]))
    return sums.hexdigest()


@pytest.fixture(scope="module")
def dataset() -> list[Scene]:
    return list(scenes())


@pytest.fixture(scope="module")
def annotations(dataset: list[Scene]) -> list[dict[str, Any]]:
    return [annotation for scene in dataset for annotation in scene.annotations]


def test_another_process_draws_the_same_bytes(dataset: list[Scene]) -> None:
    again = subprocess.run(
        [sys.executable, "-c", _DIGEST],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert again.stdout.strip() == digest(iter(dataset))


def test_every_picture_is_a_jpeg_of_its_size(dataset: list[Scene]) -> None:
    for scene in dataset:
        with Image.open(io.BytesIO(scene.jpeg)) as image:
            assert (image.format, image.size) == ("JPEG", (scene.width, scene.height))
    assert len(dataset) == IMAGE_COUNT == len({scene.path for scene in dataset})
    assert len({(scene.width, scene.height) for scene in dataset}) == 4


def test_annotations_are_already_in_the_stored_form(dataset: list[Scene]) -> None:
    for scene in dataset:
        raw = orjson.dumps(scene.annotations)
        assert normalise(raw).document == raw


def test_annotations_lie_inside_their_picture(dataset: list[Scene]) -> None:
    for scene in dataset:
        for annotation in scene.annotations:
            for x, y in _points(annotation):
                assert 0 <= x <= scene.width, (scene.path, annotation)
                assert 0 <= y <= scene.height, (scene.path, annotation)


def test_a_rotated_box_is_enclosed_by_its_bounding_box(
    annotations: list[dict[str, Any]],
) -> None:
    rotated = [a for a in annotations if "oriented_box" in a]
    assert len(rotated) > 200
    for annotation in rotated:
        box, oriented = annotation["bounding_box"], annotation["oriented_box"]
        center = oriented["cx"], oriented["cy"]
        corners = box_corners(center, oriented["w"], oriented["h"], oriented["angle"])
        assert min(x for x, _ in corners) == pytest.approx(box["x"])
        assert max(y for _, y in corners) == pytest.approx(box["y"] + box["h"])


def test_the_classes_are_whole_in_the_form_of_a_dataset() -> None:
    assert tuple(item.to_json() for item in CLASSES) == classes.CLASSES


def test_names_and_values_are_those_of_the_classes(annotations: list[dict[str, Any]]) -> None:
    by_name = {c.name: c for c in CLASSES}
    for annotation in annotations:
        dataset_class = by_name[annotation["name"]]
        assert annotation["type"] == dataset_class.type
        known = {attribute.name: attribute for attribute in dataset_class.attributes}
        for name, value in annotation["attributes"].items():
            attribute = known[name]
            if attribute.type == "select":
                assert value in attribute.values
            elif attribute.type == "checkbox":
                assert value in ("true", "false")
            else:
                assert isinstance(value, int)


def test_every_shape_is_there(annotations: list[dict[str, Any]]) -> None:
    types = Counter(annotation["type"] for annotation in annotations)
    assert all(types[kind] > 100 for kind in ("bbox", "polygon", "polyline", "keypoint"))
    polygons = [a["polygon"]["paths"] for a in annotations if a["type"] == "polygon"]
    assert sum(len(rings) > 1 for rings in polygons) > 50
    assert sum(len(rings) == 1 for rings in polygons) > 50
    plain = [a for a in annotations if a["type"] == "bbox" and "oriented_box" not in a]
    assert len(plain) > 500
    cars = [a["attributes"] for a in annotations if a["name"] == "car"]
    assert {attributes["occluded"] for attributes in cars} == {"true", "false"}
    assert [c.name for c in CLASSES[:4]] == ["car", "person", "traffic light", "lane"]


def test_a_pose_has_every_joint_once(dataset: list[Scene]) -> None:
    poses = occluded = 0
    for scene in dataset:
        joints: dict[int, list[str]] = {}
        for annotation in scene.annotations:
            if annotation["type"] == "keypoint":
                joints.setdefault(annotation["instance_id"], []).append(annotation["name"])
                occluded += annotation["attributes"].get("occluded") == "true"
        poses += len(joints)
        assert sorted(joints) == list(range(1, len(joints) + 1))
        for names in joints.values():
            assert names == [name for name, _, _ in JOINTS]
    assert poses > 100
    assert 100 < occluded < poses * len(JOINTS) / 2


def test_the_skeleton_names_the_joints(annotations: list[dict[str, Any]]) -> None:
    pose = next(c for c in CLASSES if c.name == "person pose")
    assert pose.skeleton is not None
    names = [node.name for node in pose.skeleton.nodes]
    assert {a["name"] for a in annotations if a["type"] == "keypoint"} == set(names)
    assert {i for edge in pose.skeleton.edges for i in edge} == set(range(len(names)))


def test_statuses_splits_folders_and_empty_pictures_are_mixed(dataset: list[Scene]) -> None:
    statuses = Counter(scene.status for scene in dataset)
    splits = Counter(scene.split for scene in dataset)
    assert set(statuses) == set(IMAGE_STATUSES)
    assert statuses["complete"] > IMAGE_COUNT / 2
    assert set(splits) == {*SPLITS, None}
    assert splits["train"] > IMAGE_COUNT / 2
    folders = {scene.path.split("/")[0] for scene in dataset}
    assert folders == {"day", "night", "rain", "aerial"}
    assert 3 <= sum(not scene.annotations for scene in dataset) <= 12


def test_write_lays_the_dataset_out_for_import(tmp_path: Path, dataset: list[Scene]) -> None:
    write(tmp_path)
    for scene in dataset:
        assert (tmp_path / "images" / scene.path).read_bytes() == scene.jpeg
        text = orjson.loads((tmp_path / "annotations" / f"{scene.path}.json").read_bytes())
        assert text["annotations"] == scene.annotations
        assert (text["image"]["status"], text["image"]["split"]) == (scene.status, scene.split)
    described = orjson.loads((tmp_path / "dataset.json").read_bytes())
    assert [c["name"] for c in described["classes"]] == [c.name for c in CLASSES]


def _points(annotation: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Every point of an annotation's geometry."""
    if box := annotation.get("bounding_box"):
        # Sums of thousandths may be off by the last bit.
        yield round(box["x"], 6), round(box["y"], 6)
        yield round(box["x"] + box["w"], 6), round(box["y"] + box["h"], 6)
    rings = annotation.get("polygon", {}).get("paths", [])
    line = annotation.get("polyline", {}).get("path", [])
    point = [annotation["keypoint"]] if "keypoint" in annotation else []
    for each in [*(p for ring in rings for p in ring), *line, *point]:
        yield each["x"], each["y"]
