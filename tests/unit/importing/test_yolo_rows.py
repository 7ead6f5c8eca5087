"""YOLO rows that look like something else: recognised for what they are, or refused by row."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.formats.yolo.rows import Row, Rows
from services.importing.dataset import ImportItem, ImportSource, read_dataset
from tests.unit.importing.dataset_files import (
    read_all,
    reasons,
    shared,
    write_image,
    write_text,
)


def _read(root: Path, *labels: str) -> tuple[ImportSource, list[ImportItem]]:
    for number, label in enumerate(labels):
        write_image(root / "images" / f"{number}.jpg", 400, 200)
        write_text(root / "labels" / f"{number}.txt", label)
    write_text(root / "classes.txt", "car\n")
    source = read_dataset("yolo", root / "images", root / "labels")
    return source, read_all(source)


def _told(items: list[ImportItem]) -> list[tuple[str, float, Any]]:
    return [
        (a["type"], a["confidence"], (a["attributes"] or {}).get("track_id"))
        for item in items
        for a in item.annotations
    ]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        # One of each, alone and together.
        (["0 .5 .5 .2 .2 0"], [("bbox", 1, 0)]),
        (["0 .5 .5 .2 .2 1"], [("bbox", 1, 1)]),
        (["0 .5 .5 .2 .2 7"], [("bbox", 1, 7)]),
        (["0 .5 .5 .2 .2 7.0", "0 .5 .5 .2 .2 1"], [("bbox", 1, 7), ("bbox", 1, 1)]),
        (["0 .5 .5 .2 .2 12", "0 .5 .5 .2 .2 1"], [("bbox", 1, 12), ("bbox", 1, 1)]),
        (["0 .5 .5 .2 .2 .91"], [("bbox", 0.91, None)]),
        # As `%g` writes confidences.
        (["0 .5 .5 .2 .2 .91\n0 .4 .4 .1 .1 1\n0 .3 .3 .1 .1 0"], [
            ("bbox", 0.91, None), ("bbox", 1, None), ("bbox", 0, None)]),
        (["0 .5 .5 .2 .2 1.000000\n0 .4 .4 .1 .1 1.000000"], [("bbox", 1, None)] * 2),
        (["0 .5 .5 .2 .2 .91 1"], [("bbox", 0.91, 1)]),
        (["0 .5 .5 .2 .2 .91 7\n0 .5 .5 .2 .2 1 8"], [("bbox", 0.91, 7), ("bbox", 1, 8)]),
        (["0 .5 .5 .2 .2 .91 1\n0 .5 .5 .2 .2"], [("bbox", 0.91, 1), ("bbox", 1, None)]),
    ],
)  # fmt: skip
def test_a_box_may_have_a_confidence_or_a_track_id(
    tmp_path: Path, labels: list[str], expected: list[tuple[str, float, Any]]
) -> None:
    source, items = _read(tmp_path, *labels)
    assert _told(items) == expected
    tracked = any(track is not None for _, _, track in expected)
    assert reasons(source, items) == ({"TRACK_IDS": 1} if tracked else {})
    assert not any(issue.annotations for issue in source.issues)
    assert source.classes[0].type == "bbox"


@pytest.mark.parametrize(
    "label",
    [
        # No two objects of an image have one id.
        "0 .5 .5 .2 .2 1\n0 .4 .4 .1 .1 1",
        "0 .5 .5 .2 .2 0\n0 .4 .4 .1 .1 0",
    ],
)
def test_a_number_that_says_nothing_certain_is_left_out(tmp_path: Path, label: str) -> None:
    source, items = _read(tmp_path, label)
    assert _told(items) == [("bbox", 1, None)] * 2
    assert reasons(source, items) == {"LAST_NUMBER_LEFT_OUT": 2}


def test_confidences_beside_track_ids(tmp_path: Path) -> None:
    label = "0 .5 .5 .2 .2 .91\n0 .4 .4 .1 .1 1\n0 .3 .3 .1 .1 12"
    source, items = _read(tmp_path, label)
    assert _told(items) == [("bbox", 0.91, None), ("bbox", 1, None), ("bbox", 1, 12)]
    assert reasons(source, items) == {"LAST_NUMBER_LEFT_OUT": 1}


def test_the_shared_tracks() -> None:
    root = shared("import_cases/09-yolo-track-ids")
    source = read_dataset("yolo", root / "images", root / "labels")
    assert _told(read_all(source)) == [
        ("bbox", 0.91, 1),
        ("bbox", 0.91, 7),
        ("bbox", 1, 0),
        ("bbox", 1, 1),
        ("bbox", 1, 7),
    ]
    assert [issue.reason for issue in source.issues] == ["TRACK_IDS"]


@pytest.mark.parametrize(
    "label",
    [
        "0 .1 .1 .9 .1 .5 .9",
        # What would be no box on the image.
        "0 0 0 1 0 1 1",
        "0 .9 .9 .5 .1 .1 1",
        # Beside outlines of more points.
        "0 .5 .5 .2 .2 .91 1\n0 .1 .1 .9 .1 .9 .9 .1 .9 .05 .5",
        "0 .5 .5 .2 .2 .91 1\n0 .1 .1 .9 .1 .5 .9",
    ],
)
def test_three_points_stay_an_outline(tmp_path: Path, label: str) -> None:
    source, items = _read(tmp_path, label)
    assert {kind for kind, _, _ in _told(items)} == {"polygon"}
    assert not reasons(source, items)


def test_six_numbers_that_may_be_both_are_refused(tmp_path: Path) -> None:
    label = "0 .5 .5 .2 .2 .91 1\n0 .5 .5 .2 .2 .91 7\n0 .1 .1 .9 .1 .5 .9"
    source, items = _read(tmp_path, label)
    assert _told(items) == [("bbox", 0.91, 7), ("polygon", 1, None)]
    assert reasons(source, items)["LINE_UNREADABLE"] == 1
    assert "may be three points" in items[0].issues[0].message


def _pose(rng: random.Random, joints: int, seen: Callable[[], str]) -> str:
    w, h = rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)
    x, y = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
    words = [f"{v:.6g}" for v in (x, y, w, h)]
    for _ in range(joints):
        joint = x + rng.uniform(-w, w) / 2, y + rng.uniform(-h, h) / 2
        visibility = seen()
        words += [f"{v:.6g}" for v in (joint if visibility != "0" else (0, 0))]
        words += [visibility] if visibility else []
    return " ".join(["0", *words])


@pytest.mark.parametrize("joints", [2, 3, 4, 5, 6, 17])
@pytest.mark.parametrize("rows", [1, 4])
def test_poses_with_visibility_are_refused(tmp_path: Path, joints: int, rows: int) -> None:
    rng = random.Random(joints * 10 + rows)
    label = "\n".join(_pose(rng, joints, lambda: rng.choice("012")) for _ in range(rows))
    _, (item,) = _read(tmp_path, label)
    assert not item.annotations
    assert [issue.reason for issue in item.issues] == ["LINE_OF_POSE"] * rows
    assert f"{joints} keypoints with visibility" in item.issues[0].message
    assert all(issue.annotations == 1 for issue in item.issues)


@pytest.mark.parametrize("joints", [4, 5, 6, 16, 17])
@pytest.mark.parametrize("scored", [False, True])
def test_poses_without_visibility_are_refused(tmp_path: Path, joints: int, scored: bool) -> None:
    rng = random.Random(joints)

    def seen() -> str:
        return f"{rng.random():.4f}" if scored else ""

    labels = ["\n".join(_pose(rng, joints, seen) for _ in range(5)) for _ in range(3)]
    _, items = _read(tmp_path, *labels)
    assert not any(item.annotations for item in items)
    # An odd count is refused for that.
    expected = "LINE_UNREADABLE" if scored and joints % 2 else "LINE_OF_POSE"
    assert {issue.reason for item in items for issue in item.issues} == {expected}


@pytest.mark.parametrize(
    "label",
    [
        # An outline with a confidence, with a track id, and one that lost a number.
        "0 .1 .1 .9 .1 .5 .9 .75",
        "0 .1 .1 .9 .1 .5 .9 3",
        "0 .1 .1 .9 .1 .9 .9 .1 .9 .5",
        # A rotated box with a confidence.
        "0 .1 .1 .9 .1 .9 .9 .1 .9 .91",
        # An outline, and a rotated box, with a confidence and a track id.
        "0 .1 .1 .9 .1 .5 .9 .75 3",
        "0 .1 .1 .9 .1 .9 .9 .1 .9 .75 12",
        "0 .1 .1 .9 .1 .5 .9 .75 1\n0 .1 .2 .9 .1 .5 .9 .75 0",
        # A box with a track id before its confidence.
        "0 .5 .5 .2 .2 7 .91",
        "0 .5 .5 .2 .2 1 .91",
        # A box and one joint.
        "0 .5 .5 .2 .2 .5 .5 2",
        # Points on a line.
        "0 .1 .1 .9 .1 .5 .1 .3 .1",
        "0 .1 .1 .9 .9 .1 .1",
    ],
)
def test_other_counts_are_refused_with_row_and_reason(tmp_path: Path, label: str) -> None:
    _, (item,) = _read(tmp_path, label)
    assert not item.annotations
    assert [issue.item for issue in item.issues] == [
        f"0.txt, line {number}" for number in range(1, len(label.splitlines()) + 1)
    ]
    assert all(issue.annotations == 1 for issue in item.issues)


@pytest.mark.parametrize("points", [4, 5, 6, 10])
def test_outlines_of_one_count_are_no_poses(tmp_path: Path, points: int) -> None:
    rng = random.Random(points)
    rows = []
    for _ in range(40):
        x, y, size = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.15)
        # A convex one, walked from its top: what looks most like a box and joints.
        ring = [(x + size * i / points, y + size * (i / points) ** 2) for i in range(points)]
        rows.append("0 " + " ".join(f"{v:.5f}" for point in ring for v in point))
    source, (item,) = _read(tmp_path, "\n".join(rows))
    assert len(item.annotations) == 40
    assert not [issue for issue in item.issues if issue.annotations]
    assert not source.issues


@pytest.mark.parametrize("joints", [2, 3, 5, 17])
def test_one_joint_outside_its_box_makes_no_outlines(tmp_path: Path, joints: int) -> None:
    rng = random.Random(joints)
    rows = [_pose(rng, joints, lambda: "").split() for _ in range(40)]
    x, w = float(rows[0][1]), float(rows[0][3])
    rows[0][5] = f"{x + w / 2 + 0.05:.6f}"
    _, (item,) = _read(tmp_path, "\n".join(map(" ".join, rows)))
    assert not item.annotations
    assert [issue.reason for issue in item.issues] == ["LINE_OF_POSE"] * 40


@pytest.mark.parametrize("joints", [2, 4, 6, 8])
def test_one_box_over_the_edge_makes_no_outlines(tmp_path: Path, joints: int) -> None:
    rng = random.Random(joints)
    rows = [_pose(rng, joints, lambda: rng.choice("01")).split() for _ in range(40)]
    rows[0][1], rows[0][3] = ".02", ".5"
    _, (item,) = _read(tmp_path, "\n".join(map(" ".join, rows)))
    assert not item.annotations
    assert [issue.reason for issue in item.issues] == ["LINE_OF_POSE"] * 40


def test_poses_of_two_counts_and_beside_a_rotated_box(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [_pose(rng, joints, lambda: "") for joints in (5, 6) for _ in range(20)]
    rotated = "0 .1 .1 .4 .1 .4 .4 .1 .4"
    _, (item,) = _read(tmp_path, "\n".join([*rows, rotated]))
    assert [a["type"] for a in item.annotations] == ["bbox"]
    assert [issue.reason for issue in item.issues] == ["LINE_OF_POSE"] * 40


def test_a_box_and_one_joint_are_no_triangles(tmp_path: Path) -> None:
    rng = random.Random(1)
    labels = [_pose(rng, 1, lambda: "") for _ in range(20)]
    _, items = _read(tmp_path, *labels)
    assert not any(item.annotations for item in items)
    assert {issue.reason for item in items for issue in item.issues} == {"LINE_OF_POSE"}


@pytest.mark.parametrize("joints", [1, 2, 3, 4, 5])
def test_a_lone_row_that_may_be_a_pose_is_refused(tmp_path: Path, joints: int) -> None:
    # From left to right and back, so that nothing crosses.
    spread = [(0.3, 0.5), (0.35, 0.7), (0.5, 0.72), (0.6, 0.7), (0.62, 0.6)][:joints]
    row = " ".join(["0 .5 .5 .5 .5", *(f"{x} {y}" for x, y in spread)])
    _, (item,) = _read(tmp_path, row)
    assert not item.annotations
    assert [issue.reason for issue in item.issues] == ["LINE_OF_POSE"]
    assert "import the COCO form" in item.issues[0].message


@pytest.mark.parametrize("points", [3, 4, 5, 6, 7, 8, 12, 20])
def test_outlines_of_any_shape_are_no_poses(tmp_path: Path, points: int) -> None:
    rng = random.Random(points)
    rows = []
    for _ in range(30):
        x, y, size = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.02, 0.4)
        turns = sorted(rng.uniform(0, math.tau) for _ in range(points))
        ring = [
            (x + reach * math.cos(turn), y + reach * math.sin(turn))
            for turn in turns
            for reach in (size * rng.uniform(0.4, 1),)
        ]
        rows.append("0 " + " ".join(f"{min(1, max(0, v)):.6f}" for p in ring for v in p))
    _, (item,) = _read(tmp_path, "\n".join(rows))
    assert not [issue for issue in item.issues if issue.reason == "LINE_OF_POSE"]


def test_no_row_of_the_shared_outlines_is_taken_for_a_pose() -> None:
    """Nor is any of one image alone."""
    rows = Rows()
    kinds = []
    for file in sorted(shared("coco_cc/instance_segmentation").rglob("*.txt")):
        lines = [line.split() for line in file.read_text().splitlines()]
        alone = Rows()
        for each in (rows, alone):
            each.add(lines)
        kinds += [(alone, line) for line in lines] + [(rows, line) for line in lines]
    assert len(kinds) > 700
    assert {rows.kind(line) for rows, line in kinds} == {Row.points}


@pytest.mark.parametrize("word", ["nan", "inf", "1_0", "9" * 400, "1e999", "٣", "0x1", "--1"])
def test_words_that_are_no_numbers_are_refused(tmp_path: Path, word: str) -> None:
    label = f"0 .5 .5 .1 {word}\n0 .5 .5 .1 .1 {word}\n{word} .5 .5 .1 .1\n0 .5 .5 .1 .1"
    _, (item,) = _read(tmp_path, label)
    assert len(item.annotations) == 1
    assert all(len(issue.message) < 200 for issue in item.issues)
    assert len(item.issues) == 3


def test_one_label_file_that_is_no_text_ends_nothing(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "bad.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "bad.txt").write_bytes(b"0 .5 .5 .1 .1\x89\x80")
    (tmp_path / "labels" / "orphan.txt").write_bytes(b"\x80\x81")
    (tmp_path / "labels" / "README.roboflow.txt").write_text("Exported from elsewhere.\n")
    source, (item,) = _read(tmp_path, "0 .5 .5 .1 .1")
    assert (item.path, len(item.annotations)) == ("0.jpg", 1)
    assert reasons(source, [item]) == {"LABELS_UNREADABLE": 2, "NO_LABELS": 1}
    # The image of the file is passed over: without it, it would come in as one without objects.
    assert sum(issue.images for issue in source.issues) == 2


def test_utf_16_is_read_where_it_says_so(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "x.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "x.txt").write_bytes("0 .5 .5 .1 .1\r\n".encode("utf-16"))
    (tmp_path / "classes.txt").write_bytes("größe\r\n".encode("utf-16"))
    source = read_dataset("yolo", tmp_path / "images", tmp_path / "labels")
    (item,) = read_all(source)
    assert [a["name"] for a in item.annotations] == ["größe"]
