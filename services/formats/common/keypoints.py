"""Poses: keypoint annotations put together to objects.

A joint is a class and `instance_id` is the object: the keypoints of an image that share
an `instance_id` are joints of one object, whose class is the one whose skeleton names
most of them. A keypoint without `instance_id` is an object by itself. The rules are those
of the official SDK's converters, so that both sides put a joint in the same place.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from services.catalog.model import DatasetClass
from services.formats.common.geometry import Box, Point, bounds, clamp_box

#: An annotation with its number in the dataset.
Numbered: TypeAlias = tuple[int, dict[str, Any]]

OCCLUDED = 1
VISIBLE = 2
#: Texts of the attribute `occluded` that mean yes.
_YES = frozenset({"true", "1", "yes", "y", "t", "occluded"})
#: Smallest side of an object's box: pixels, and part of the image's shorter side.
_LEAST_SIDE = 1.0
_LEAST_PART = 0.05


@dataclass(frozen=True, slots=True)
class Pose:
    """An object of a class with a skeleton."""

    class_name: str
    #: One place for each node of the skeleton, in its order.
    joints: tuple[Numbered | None, ...]

    @property
    def placed(self) -> list[Numbered]:
        """The joints that the object has."""
        return [joint for joint in self.joints if joint]


@dataclass(frozen=True, slots=True)
class LoneKeypoint:
    """A keypoint that is in no pose."""

    number: int
    annotation: dict[str, Any]
    #: Why a keypoint of an instance stands alone; empty where it always did.
    reason: str = ""


class Skeletons(dict[str, tuple[str, ...]]):
    """The joint names of each class with a skeleton, in class order."""

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The place of each class among them."""
        return {name: place for place, name in enumerate(self)}

    @cached_property
    def places(self) -> Mapping[str, Mapping[str, int]]:
        """The place of each joint name, by class: the last where a name is there twice."""
        return {
            name: {joint: place for place, joint in enumerate(joints)}
            for name, joints in self.items()
        }

    @cached_property
    def classes_of(self) -> Mapping[str, Sequence[str]]:
        """The classes that have a joint of the name, in class order."""
        found: dict[str, list[str]] = {}
        for name, joints in self.places.items():
            for joint in joints:
                found.setdefault(joint, []).append(name)
        return found


def skeletons(classes: Iterable[DatasetClass]) -> Skeletons:
    """The joint names of each class with a skeleton, in class order."""
    return Skeletons(
        (c.name, tuple(node.name for node in c.skeleton.nodes))
        for c in classes
        if c.skeleton and c.skeleton.nodes
    )


def group(
    keypoints: Iterable[Numbered], templates: Skeletons
) -> tuple[list[Pose], list[LoneKeypoint]]:
    """Puts an image's keypoints together: by `instance_id`, then those without one.

    The first of two keypoints for one place takes it; the other stands alone.
    """
    instances: dict[int, list[Numbered]] = {}
    alone: list[list[Numbered]] = []
    for keypoint in keypoints:
        instance = keypoint[1].get("instance_id")
        if instance is None:
            alone.append([keypoint])
        else:
            instances.setdefault(instance, []).append(keypoint)
    poses: list[Pose] = []
    lone: list[LoneKeypoint] = []
    for members in [*(instances[key] for key in sorted(instances)), *alone]:
        name = _class_of(members, templates)
        if name is None:
            reason = "the instance fits no skeleton" if len(members) > 1 else ""
            lone += [LoneKeypoint(number, a, reason) for number, a in members]
            continue
        places: dict[str, Numbered] = {}
        for number, annotation in members:
            joint = annotation["name"]
            if joint not in templates.places[name]:
                lone.append(LoneKeypoint(number, annotation, "the skeleton has no such joint"))
            elif joint in places:
                lone.append(LoneKeypoint(number, annotation, "the joint's place is taken"))
            else:
                places[joint] = number, annotation
        poses.append(Pose(name, tuple(places.get(joint) for joint in templates[name])))
    return poses, lone


def joints_of(
    annotations: Iterable[Numbered],
    templates: Skeletons,
    classes: Collection[str],
) -> frozenset[int]:
    """The numbers of the joints whose object is of one of the classes."""
    if templates.keys().isdisjoint(classes):
        return frozenset()
    poses, _ = group([item for item in annotations if item[1]["type"] == "keypoint"], templates)
    return frozenset(
        number for pose in poses if pose.class_name in classes for number, _ in pose.placed
    )


def visibility(annotation: Mapping[str, Any]) -> int:
    """COCO's flag of a placed joint: 1 where its attribute `occluded` says so, else 2."""
    attributes = annotation.get("attributes")
    occluded = attributes.get("occluded") if isinstance(attributes, dict) else None
    return OCCLUDED if says_yes(occluded) else VISIBLE


def says_yes(value: Any) -> bool:
    """Whether the value of an attribute such as `occluded` means yes."""
    return str(value).strip().lower() in _YES


def trainable_box(points: Sequence[Point], width: int, height: int) -> Box:
    """The box of an object that has only points, on the image.

    Each side is at least 5 % of the image's shorter side and a pixel, about the points'
    middle, before the box is cut at the edges: detectors match by box, and one without
    area matches nothing.
    """
    left, top, w, h = bounds([list(points)])
    least = max(_LEAST_SIDE, _LEAST_PART * min(width, height))
    grow_x, grow_y = max(0.0, least - w), max(0.0, least - h)
    return clamp_box((left - grow_x / 2, top - grow_y / 2, w + grow_x, h + grow_y), width, height)


def _class_of(members: Sequence[Numbered], templates: Skeletons) -> str | None:
    """The class whose skeleton names most of the joints; the first in class order of equals."""
    names = {annotation["name"] for _, annotation in members}
    hits = Counter(name for joint in names for name in templates.classes_of.get(joint, ()))
    most = max(hits.values(), default=0)
    return min(
        (name for name in hits if hits[name] == most), key=templates.order.__getitem__, default=None
    )
