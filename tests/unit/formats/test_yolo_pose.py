"""YOLO-pose archives."""

import pytest
import yaml

from services.catalog.model import DatasetClass, Skeleton, SkeletonNode
from services.formats.registry import FORMATS
from services.formats.yolo_pose.writer import flip_indexes
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint, losses

DOG = DatasetClass("dog", "keypoint", skeleton=Skeleton((SkeletonNode("snout"),)))


def test_rows_have_one_length_for_all_classes() -> None:
    annotations = [
        keypoint("a", "left eye", 20, 8, 1, attributes={"occluded": "true"}),
        keypoint("b", "nose", 10, 16, 1),
        box("c", 1, 1, 5, 5),
        keypoint("d", "snout", 150, 40, 2),
        keypoint("e", "landmark", 5, 5),
    ]
    export_info = info("yolo_pose", classes=(*CLASSES, DOG))
    images = [image(annotations, split="train"), image(number=2, split="val")]
    files, rendered = assemble(export_info, images)
    person, dog = files["labels/train/día_1~1.txt"].decode().splitlines()
    assert person == (
        "3 0.1500000 0.1500000 0.1000000 0.1000000 0.1000000 0.2000000 2.0000000 "
        "0.2000000 0.1000000 1.0000000 0.0000000 0.0000000 0.0000000"
    )
    assert len(dog.split()) == len(person.split())
    assert [float(n) for n in dog.split()[5:]] == [1, 0.5, 2, 0, 0, 0, 0, 0, 0]
    assert files["labels/val/día_2~2.txt"] == b""
    value = yaml.safe_load(files["data.yaml"])
    assert value["kpt_shape"] == [3, 3]
    assert value["kpt_names"] == {3: ["nose", "left eye", "right eye"], 8: ["snout"]}
    assert value["flip_idx"] == [0, 2, 1]
    assert losses(rendered.losses) == {
        "clamped": ["d"],
        "degraded": ["d"],
        "dropped": ["c", "e"],
        "renamed": ["image-1", "image-2"],
        "unannotated": ["image-2"],
    }


def test_an_export_without_poses_still_loads() -> None:
    files, _ = assemble(info("yolo_pose", class_filter=("car",)), [image()])
    value = yaml.safe_load(files["data.yaml"])
    assert value["kpt_shape"] == [1, 3]
    assert "flip_idx" not in value


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("nose", "left_eye", "right_eye")], [0, 2, 1]),
        ([("LeftEye", "RightEye", "Tail")], [1, 0, 2]),
        ([("eyeL", "eyeR", "head")], [1, 0, 2]),
        ([("L-paw", "R-paw")], [1, 0]),
        ([("left_eye", "right_eye"), ("a", "b", "c")], []),
        ([("left_eye", "right_eye"), ("left_ear", "right_ear", "c")], [1, 0, 2]),
        ([("nose", "left_eye")], []),
        ([("nose", "tail")], []),
        ([("bright", "cleft", "left", "right")], [0, 1, 3, 2]),
        ([], []),
    ],
)
def test_flip_indexes_only_where_names_leave_no_doubt(
    names: list[tuple[str, ...]], expected: list[int]
) -> None:
    assert flip_indexes(names) == expected


@pytest.mark.parametrize(
    "row",
    [
        "3 0.5 0.5 0.1 0.1",
        "3 0.5 0.5 0.1 0.1 0.5 0.5 2 0.5 0.5 2 0.5 0.5 3",
        "3 0.5 0.5 0.1 0 0.5 0.5 2 0.5 0.5 2 0.5 0.5 2",
        "3 0.5 0.5 0.1 0.1 0.5 0.5 2 0.5 0.5 2 0.5 1.5 2",
    ],
)
def test_rows_that_readers_refuse_do_not_pass(row: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FORMATS["yolo_pose"].writer.read(
            "labels/train/1.txt", iter([row.encode()]), info("yolo_pose")
        )
