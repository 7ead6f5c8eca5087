"""YOLO-pose: boxes with keypoints.

Rows: https://docs.ultralytics.com/datasets/pose/. Every row has as many keypoints as the
longest skeleton of the export; a shorter one, and a joint that is not placed, is filled with
`0 0 0`. The third number is COCO's visibility. An object's box is the extent of its joints,
with a least side (`trainable_box`).

`flip_idx` says which joint takes which place when an image is mirrored. It follows from the
words left and right in the names; where these leave a doubt it is left out, and Ultralytics
mirrors no images then: a wrong one spoils a training without a word.
Only poses have rows; a keypoint that is in none, and every other shape, is dropped.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.keypoints import trainable_box
from services.formats.common.kinds import KEYPOINTS
from services.formats.common.loss_report import LossReport
from services.formats.common.objects import Object, Pose
from services.formats.common.yolo_layout import (
    RowCheck,
    RowWriter,
    YoloLayout,
    box_parts,
    in_range,
    parts,
    quoted,
)
from services.formats.yolo_pose.losses import NO_POSE, SKELETON_PADDED

#: A joint that is not placed.
_ABSENT = [0.0, 0.0, 0.0]
_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
# Words, also those of camelCase; what lies between them stays.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class YoloPose(YoloLayout):
    """`cls cx cy w h (x y v)…`."""

    kinds: ClassVar[frozenset[str]] = KEYPOINTS

    def task(self, info: ExportInfo) -> str:
        """Always the same."""
        return "pose"

    def settings(self, info: ExportInfo) -> list[str]:
        """Shape, mirror image and names of the keypoints."""
        templates = info.selected_templates
        lines = [f"kpt_shape: [{_joint_count(info)}, 3]"]
        if flips := flip_indexes(list(templates.values())):
            lines.append(f"flip_idx: {flips}")
        if templates:
            lines.append("kpt_names:")
        for number, c in enumerate(info.selected_classes):
            if c.name in templates:
                names = ", ".join(map(quoted, templates[c.name]))
                lines.append(f"  {number}: [{names}]")
        return lines

    def row_writer(self, info: ExportInfo) -> RowWriter:
        """Box and joints of a pose."""
        joint_count = info.once(_joint_count)

        def row(item: Object, image: ExportImage, losses: LossReport) -> list[float] | None:
            if not isinstance(item.shape, Pose):
                losses.add(NO_POSE, item.id)
                return None
            points = [joint.point for joint in item.shape.placed]
            numbers = box_parts(trainable_box(points, image.width, image.height), image)
            for joint in item.shape.joints:
                if joint is None:
                    numbers += _ABSENT
                else:
                    numbers += (*parts([joint.point], image), float(joint.visibility))
            missing = joint_count - len(item.shape.joints)
            if missing:
                losses.add(SKELETON_PADDED, item.id)
            return numbers + _ABSENT * missing

        return row

    def row_check(self, info: ExportInfo) -> RowCheck:
        """A box with an extent, and as many joints as data.yaml says."""
        joint_count = info.once(_joint_count)

        def check(numbers: Sequence[float]) -> None:
            if len(numbers) != 4 + 3 * joint_count:
                raise ValueError("a row has too few or too many joints")
            in_range([*numbers[:4], *numbers[4::3], *numbers[5::3]])
            if min(numbers[2:4]) <= 0 or not set(numbers[6::3]) <= {0, 1, 2}:
                raise ValueError("a box has no extent, or a joint no visibility")

        return check


def flip_indexes(templates: Sequence[Sequence[str]]) -> list[int]:
    """For each place of a keypoint the one it has in a mirrored image; none where that is not
    sure: no name has a side, the other side is missing, or two classes disagree."""
    found: dict[int, int] = {}
    for names in templates:
        places = {name: position for position, name in enumerate(names)}
        for position, name in enumerate(names):
            other = places.get(_WORD.sub(_other_side, name))
            if other is None or found.setdefault(position, other) != other:
                return []
    indexes = [found[position] for position in range(len(found))]
    return indexes if indexes != sorted(indexes) else []


def _other_side(word: re.Match[str]) -> str:
    text = word[0]
    other = _SIDES.get(text.lower())
    if other is None:
        return text
    if text.isupper():
        return other.upper()
    return other.capitalize() if text[0].isupper() else other


def _joint_count(info: ExportInfo) -> int:
    # Ultralytics wants one at least, also where there is no pose.
    return max(map(len, info.selected_templates.values()), default=1)


WRITER = YoloPose()
