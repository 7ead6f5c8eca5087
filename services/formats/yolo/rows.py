"""What the rows of YOLO labels are, by the company that they keep.

A row does not say what it is. Ultralytics writes (`Results.save_txt`) after the class 4 numbers
of a box, or the points of an outline or of a rotated box, or a box and joints; then the
confidence, and last the id of the tracked object, each only where it was asked for. Six numbers
may so be three points, or a box with both; eight may be an outline, a rotated box, or a box and
two joints. The rows of a whole dataset tell them apart, and what they leave open is refused.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property

from services.formats.common.annotations import number_of
from services.formats.common.crossing import may_cross_itself
from services.formats.common.source import Skipped

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_BARE_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
#: Parts of a side by which a box or joint may miss its place, from rounding.
_SLACK = 0.02
#: The part of rows that must look like poses to be some: of many, a box or a joint is off.
_MOST = 0.9
#: Of rows that look like a box and joints, the part that crosses itself when it is taken for an
#: outline: outlines hardly ever do.
_CROSSING = 0.15
#: Points beyond the third of each row, over all rows: with fewer, poses may well not cross
#: themselves (two joints do in half of the rows, five in 19 of 20).
_FEW_POINTS = 8
#: Rows of one count that tell what these are beside others that are outlines.
_MANY = 8
#: Of rows that look like poses, the part that must not look like small outlines.
_APART = 0.5
#: Parts of the sides of a box within which all points of a small outline lie.
_TOGETHER = 0.3
#: Parts of a side by which corners may miss a parallelogram, which joints never are.
_PARALLEL = 0.005


class Row(StrEnum):
    """What a row is."""

    box = "box"
    sure_box = "box with confidence"
    tracked_box = "box with track id"
    sure_tracked_box = "box with confidence and track id"
    #: A box whose last number says nothing certain.
    box_and_more = "box with a number"
    #: Points in turn.
    points = "points"


class Rows:
    """The rows of a dataset: each is taken by `add` before any is asked for."""

    def __init__(self) -> None:
        #: By class, as it is written, and what they hold.
        self._boxes: Counter[str] = Counter()
        self._corners: Counter[str] = Counter()
        self._outlines: Counter[str] = Counter()
        self._sixes: Counter[str] = Counter()
        self._fifth = _LastColumn()
        self._sixth = _LastColumn()
        #: Of rows of 6 numbers: those that may be a box with two more, and the others.
        self._six_boxes = 0
        self._triangles = 0
        #: Of the others: those that look like a box and a joint, and no small outline beside.
        self._one_joint = 0
        self._one_joint_apart = 0
        #: Of the others: those that may be a box with a track id before its confidence.
        self._swapped = 0
        #: Of longer rows by the count of numbers: all, those that look like a box and joints
        #: with visibility, without, or with a confidence each, those of them that cross
        #: themselves when taken for outlines, those that are no small outlines, and those that
        #: end like a confidence and a track id.
        self._long: Counter[int] = Counter()
        self._seen_poses: Counter[int] = Counter()
        self._flat_poses: Counter[int] = Counter()
        self._scored_poses: Counter[int] = Counter()
        self._crossing: Counter[int] = Counter()
        self._apart: Counter[int] = Counter()
        self._known_joints: dict[int, str] = {}
        self._tailed = 0
        self._tailed_for_sure = False

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Takes the words of all rows of one image."""
        fifth: list[str] = []
        sixth: list[str] = []
        for words in rows:
            count = len(words) - 1
            if count == 4:
                self._boxes[words[0]] += 1
            elif count == 5:
                self._boxes[words[0]] += 1
                fifth.append(words[5])
            elif count == 6:
                self._add_six(words, sixth)
            elif count > 6:
                self._add_long(words)
            elif words:
                self._boxes[words[0]] += 1
        self._fifth.add(fifth)
        self._sixth.add(sixth)

    def _add_six(self, words: Sequence[str], sixth: list[str]) -> None:
        numbers = [number_of(word) for word in words[1:]]
        if _is_box(numbers) and 0 <= numbers[4] <= 1 and _WHOLE.fullmatch(words[6]):
            self._six_boxes += 1
            sixth.append(words[6])
        else:
            self._triangles += 1
            if _is_box(numbers) and _has_joints(numbers, 2):
                self._one_joint += 1
                self._one_joint_apart += _are_apart(numbers)
            self._swapped += _may_be_swapped(words, numbers)
        self._sixes[words[0]] += 1

    def _add_long(self, words: Sequence[str]) -> None:
        count = len(words) - 1
        (self._corners if count == 8 else self._outlines)[words[0]] += 1
        self._long[count] += 1
        numbers = [number_of(word) for word in words[1:]]
        if _is_box(numbers):
            self._seen_poses[count] += _has_visible_joints(numbers)
            flat, scored = _has_joints(numbers, 2), _has_joints(numbers, 3)
            self._flat_poses[count] += flat
            self._scored_poses[count] += scored
            if count % 2 == 0 and (flat or scored):
                points = list(zip(numbers[::2], numbers[1::2], strict=True))
                self._crossing[count] += may_cross_itself(points)
                self._apart[count] += _are_apart(numbers)
        if count % 2 == 0 and _WHOLE.fullmatch(words[-1]) and 0 <= numbers[-2] <= 1:
            if numbers[-1] > 1:
                self._tailed_for_sure = True
            self._tailed += not any(_WHOLE.fullmatch(word) for word in words[1:-1])

    @property
    def are_rotated(self) -> bool:
        """Whether 8 numbers are a rotated box: there are no other outlines."""
        return not self._outline_counts - {8} and not self._triangles

    def class_type(self, identifier: int) -> str:
        """The type of a class: that of most of its objects."""
        key = str(identifier)
        if self.are_rotated:
            return "bbox"
        outlines, boxes = self._outlines[key] + self._corners[key], self._boxes[key]
        if self._are_triangles:
            outlines += self._sixes[key]
        else:
            boxes += self._sixes[key]
        return "polygon" if outlines > boxes else "bbox"

    @property
    def track_ids(self) -> int:
        """Rows whose last number is taken for the id of a tracked object."""
        return self._fifth.tracks + (0 if self._are_triangles else self._sixth.tracks)

    def kind(self, words: Sequence[str]) -> Row:
        """What a row is.

        Raises:
            Skipped: it is nothing that is read, or may be several things.
        """
        count = len(words) - 1
        if count == 4:
            return Row.box
        if count == 5:
            return self._fifth.kind(words[5], Row.sure_box, Row.tracked_box)
        if count == 6:
            return self._six(words)
        if count < 4:
            raise Skipped("LINE_UNREADABLE", f"{count} numbers after the class are no box")
        if joints := self._joints(count):
            raise _pose(count, joints)
        if count % 2:
            raise Skipped(
                "LINE_UNREADABLE",
                f"{count} numbers after the class are neither a box nor points: points come in "
                "pairs; take away a confidence or a track id behind them",
            )
        if self._tailed_for_sure or self._tailed == self._long.total():
            raise Skipped(
                "LINE_UNREADABLE",
                f"the last of {count} numbers is a whole number, as a track id behind a "
                "confidence is, and no point; take both columns away",
            )
        return Row.points

    def _six(self, words: Sequence[str]) -> Row:
        numbers = [number_of(word) for word in words[1:]]
        may_be_box = _is_box(numbers) and 0 <= numbers[4] <= 1 and _WHOLE.fullmatch(words[6])
        if may_be_box and numbers[5] > 1:
            return Row.sure_tracked_box
        if (
            _may_be_swapped(words, numbers)
            and self._swapped == self._triangles
            and not self._outline_counts
        ):
            raise Skipped(
                "LINE_UNREADABLE",
                "6 numbers after the class, of which the fifth is a whole number, may be three "
                "points, or a box with a track id and a confidence",
            )
        if not may_be_box and self._are_single_joints:
            raise _pose(6, "1 keypoint")
        if not may_be_box or (self._are_triangles and not self._sixth.has_ids):
            return Row.points
        if self._are_triangles:
            raise Skipped(
                "LINE_UNREADABLE",
                "6 numbers after the class may be three points, or a box with a confidence and a "
                "track id, and this dataset has both",
            )
        return Row.sure_tracked_box

    @property
    def _are_triangles(self) -> bool:
        """Whether rows of 6 numbers are three points."""
        return bool(self._triangles or self._outline_counts)

    @cached_property
    def _outline_counts(self) -> frozenset[int]:
        """The counts of numbers that are points."""
        return frozenset(
            count for count in self._long if count % 2 == 0 and not self._joints(count)
        )

    def _joints(self, count: int) -> str:
        """What rows of so many numbers hold beside a box; empty where they are no poses."""
        if count not in self._known_joints:
            self._known_joints[count] = self._find_joints(count)
        return self._known_joints[count]

    def _find_joints(self, count: int) -> str:
        rows = self._long[count]
        if count >= 10 and self._seen_poses[count] >= rows * _MOST:
            return f"{(count - 4) // 3} keypoints with visibility"
        if count >= 8 and self._are_poses(self._flat_poses, count):
            return f"{(count - 4) // 2} keypoints"
        if count >= 10 and self._are_poses(self._scored_poses, count):
            return f"{(count - 4) // 3} keypoints with confidence"
        return ""

    def _are_poses(self, poses: Counter[int], count: int) -> bool:
        """Whether rows of so many numbers are poses of a kind, or may well be: most look so,
        and cross themselves; or most of the dataset do, or are too few to tell."""
        rows = self._long[count]
        if poses[count] < rows * _MOST or self._apart[count] < rows * _APART:
            return False
        if rows >= _MANY and self._crossing[count] >= rows * _CROSSING:
            return True
        total = self._long.total()
        if poses.total() < total * _MOST:
            return False
        crossing = sum(self._crossing[each] for each in poses)
        further = sum(number * (each // 2 - 3) for each, number in poses.items())
        return crossing >= total * _CROSSING or further < _FEW_POINTS

    @property
    def _are_single_joints(self) -> bool:
        """Whether rows of 6 numbers are a box and a joint, or may well be."""
        return (
            self._triangles > 0
            and self._one_joint >= self._triangles * _MOST
            and self._one_joint_apart >= self._triangles * _APART
            and not self._outline_counts
        )


class _LastColumn:
    """A last column that holds confidences or the ids of tracked objects."""

    def __init__(self) -> None:
        self._wholes = 0
        self._has_fractions = False
        self._is_repeated = False
        #: Whether a whole number is above 1, which no confidence is.
        self.has_ids = False

    def add(self, words: Sequence[str]) -> None:
        """Takes the column of one image."""
        wholes = [word for word in words if _WHOLE.fullmatch(word)]
        self._wholes += len(wholes)
        self.has_ids = self.has_ids or any(number_of(word) > 1 for word in wholes)
        # No two objects of an image have one id.
        self._is_repeated = self._is_repeated or len({*wholes}) < len(wholes)
        self._has_fractions = self._has_fractions or any(
            0 <= number_of(word) <= 1 and not _BARE_WHOLE.fullmatch(word) for word in words
        )

    @property
    def _are_tracks(self) -> bool:
        return not self._is_repeated and (self.has_ids or not self._has_fractions)

    @property
    def tracks(self) -> int:
        """Rows whose last number is taken for an id."""
        return self._wholes if self._are_tracks and not self._is_mixed else 0

    @property
    def _is_mixed(self) -> bool:
        return self.has_ids and self._has_fractions

    def kind(self, word: str, sure: Row, tracked: Row) -> Row:
        number = number_of(word)
        if not _WHOLE.fullmatch(word):
            return sure
        if self._is_mixed:
            return tracked if number > 1 else Row.box_and_more
        if self._are_tracks:
            return tracked
        return sure if 0 <= number <= 1 and self._has_fractions else Row.box_and_more


def _pose(count: int, joints: str) -> Skipped:
    return Skipped(
        "LINE_OF_POSE",
        f"{count} numbers after the class are a box and {joints}, or look like one, and no "
        "kpt_shape tells; import the COCO form of the dataset",
    )


def _is_box(numbers: Sequence[float]) -> bool:
    """Whether the first four numbers are a box on the image."""
    x, y, w, h = numbers[:4]
    return (
        w > 0
        and h > 0
        and x - w / 2 >= -_SLACK
        and y - h / 2 >= -_SLACK
        and x + w / 2 <= 1 + _SLACK
        and y + h / 2 <= 1 + _SLACK
    )


def _may_be_swapped(words: Sequence[str], numbers: Sequence[float]) -> bool:
    wholes = [bool(_BARE_WHOLE.fullmatch(word)) for word in words[1:]]
    return wholes == [False] * 4 + [True, False] and _is_box(numbers) and 0 <= numbers[5] <= 1


def _has_visible_joints(numbers: Sequence[float]) -> bool:
    """Whether all after the box is joints, each with one of COCO's flags of visibility."""
    return len(numbers) % 3 == 1 and all(seen in (0, 1, 2) for seen in numbers[6::3])


def _has_joints(numbers: Sequence[float], step: int) -> bool:
    """Whether all after the box is joints of `step` numbers each: in the box, or absent."""
    x, y, w, h = numbers[:4]
    joints = numbers[4:]
    if len(joints) % step or not all(
        (a == 0 and b == 0) or (abs(a - x) <= w / 2 + _SLACK and abs(b - y) <= h / 2 + _SLACK)
        for a, b in zip(joints[::step], joints[1::step], strict=True)
    ):
        return False
    # Joints are hardly the corners of a parallelogram.
    return len(numbers) != 8 or any(
        abs(numbers[i] - numbers[i + 2] + numbers[i + 4] - numbers[i + 6]) >= _PARALLEL
        for i in (0, 1)
    )


def _are_apart(numbers: Sequence[float]) -> bool:
    """Whether all numbers, taken for points, do not lie together in a part of the box that the
    first four are, as a small outline does; a pose would have to have its sides for its place."""
    _, _, w, h = numbers[:4]
    across, down = numbers[::2], numbers[1::2]
    return max(across) - min(across) > w * _TOGETHER or max(down) - min(down) > h * _TOGETHER
