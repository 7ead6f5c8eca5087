"""How joints become objects."""

from typing import Any

import pytest

from services.formats.common.keypoints import (
    Skeletons,
    group,
    joints_of,
    skeletons,
    trainable_box,
    visibility,
)
from tests.unit.formats.archives import CLASSES, keypoint

TEMPLATES = skeletons(CLASSES)


def numbered(*keypoints: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(keypoints, 1))


def test_joints_take_the_places_of_their_skeleton() -> None:
    keypoints = numbered(
        keypoint("a", "right eye", 1, 1, 2),
        keypoint("b", "nose", 2, 2, 2),
        keypoint("c", "nose", 3, 3, 1),
        keypoint("d", "nose", 4, 4, 2),
        keypoint("e", "landmark", 5, 5, 2),
    )
    poses, lone = group(keypoints, TEMPLATES)
    assert [[joint and joint[0] for joint in pose.joints] for pose in poses] == [
        [3, None, None],
        [2, None, 1],
    ]
    assert {item.annotation["id"]: item.reason for item in lone} == {
        "d": "the joint's place is taken",
        "e": "the skeleton has no such joint",
    }


def test_keypoints_without_an_instance_are_not_put_together() -> None:
    poses, lone = group(
        numbered(keypoint("a", "nose", 1, 1), keypoint("b", "left eye", 2, 2)), TEMPLATES
    )
    assert len(poses) == 2
    assert lone == []


def test_an_instance_without_a_skeleton_falls_apart() -> None:
    poses, lone = group(
        numbered(keypoint("a", "x", 1, 1, 1), keypoint("b", "y", 2, 2, 1)), TEMPLATES
    )
    assert poses == []
    assert {item.reason for item in lone} == {"the instance fits no skeleton"}


def test_the_skeleton_that_names_most_joints_wins_and_then_class_order() -> None:
    templates = Skeletons(
        {"dog": ("nose", "tail"), "cat": ("nose", "tail"), "man": ("nose", "hand", "foot")}
    )
    both = numbered(keypoint("a", "nose", 1, 1, 1), keypoint("b", "hand", 2, 2, 1))
    assert group(both, templates)[0][0].class_name == "man"
    assert group(both[:1], templates)[0][0].class_name == "dog"
    assert joints_of(both, templates, {"dog"}) == frozenset()
    assert joints_of(both, templates, {"man"}) == {1, 2}


@pytest.mark.parametrize(
    ("attributes", "flag"),
    [
        ({"occluded": "True "}, 1),
        ({"occluded": True}, 1),
        ({"occluded": 1}, 1),
        ({"occluded": "no"}, 2),
        ({"occluded": False}, 2),
        ({}, 2),
        (["occluded"], 2),
    ],
)
def test_visibility(attributes: Any, flag: int) -> None:
    assert visibility({"attributes": attributes}) == flag


def test_a_box_of_points_has_area_and_stays_on_the_image() -> None:
    assert trainable_box([(50, 50)], 200, 100) == (47.5, 47.5, 5, 5)
    assert trainable_box([(0, 0)], 200, 100) == (0, 0, 2.5, 2.5)
    assert trainable_box([(10, 10), (60, 30)], 200, 100) == (10, 10, 50, 20)
    assert trainable_box([(3, 3)], 4, 4) == (2.5, 2.5, 1, 1)
