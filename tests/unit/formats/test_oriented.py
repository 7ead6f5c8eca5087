"""Rotated boxes in YOLO-OBB and DOTA archives."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.model import DatasetClass
from services.formats.common.geometry import TOLERANCE, OrientedBox, bounds, overshoot
from services.formats.common.oriented import trim_box
from services.formats.common.writer import Rendered
from services.formats.registry import FORMATS
from tests.unit.formats.archives import assemble, box, image, info, losses, polygon

WIDTH, HEIGHT = 100, 80


def turned(item: str, *numbers: float, **fields: Any) -> dict[str, Any]:
    """A rotated box and its enclosure in the wire form: cx, cy, w, h, angle."""
    oriented = OrientedBox(*numbers)
    x, y, w, h = bounds([oriented.corners()])
    values = dict(zip(("cx", "cy", "w", "h", "angle"), numbers, strict=True))
    return box(item, x, y, w, h, oriented_box=values, **fields)


def export(*annotations: dict[str, Any]) -> tuple[list[Any], Rendered]:
    """The corners, in pixels, of one image."""
    one = image(annotations, path="1.jpg", name="1.jpg", split="train")
    files, rendered = assemble(info("dota"), [one])
    lines = files["default/labelTxt/1.txt"].decode().splitlines()
    corners = [np.reshape([float(n) for n in line.split()[:8]], (4, 2)) for line in lines]
    yolo, _ = assemble(info("yolo_obb"), [one])
    rows = [line.split()[1:] for line in yolo["labels/train/1.txt"].decode().splitlines()]
    for row, points in zip(rows, corners, strict=True):
        assert np.allclose(
            np.reshape(row, (4, 2)).astype(float) * (WIDTH, HEIGHT), points, atol=1e-3
        )
    return corners, rendered


def test_corners_start_at_the_top_left_of_the_own_frame() -> None:
    corners, rendered = export(
        turned("a", 50, 40, 20, 10, 90),
        turned("b", 50, 40, 20, 10, 0),
        turned("c", 50, 40, 20, 10, 30),
    )
    assert np.allclose(corners[0], [(55, 30), (55, 50), (45, 50), (45, 30)])
    assert np.allclose(corners[1], [(40, 35), (60, 35), (60, 45), (40, 45)])
    assert np.allclose(corners[2], OrientedBox(50, 40, 20, 10, 30).corners(), atol=1e-4)
    assert rendered.losses.losses == {}


def test_boxes_over_the_edge_stay_rectangles_on_the_image() -> None:
    corners, rendered = export(
        turned("straight", 97, 40, 20, 10, 90),
        turned("corner", 99, 40, 20, 20, 45),
        turned("tip", 109, 40, 20, 20, 45),
        box("plain", -5, -5, 10, 10),
    )
    assert np.allclose(corners[0], [(100, 30), (100, 50), (92, 50), (92, 30)])
    for ring in corners:
        sides = np.diff([*ring, ring[0]], axis=0)
        assert np.allclose(sides[0], -sides[2], atol=1e-3)
        assert abs(sides[0] @ sides[1]) < 1e-2
    assert np.allclose(corners[3], [(0, 0), (5, 0), (5, 5), (0, 5)])
    assert losses(rendered.losses) == {"clamped": ["corner", "plain", "straight", "tip"]}


def test_polygons_are_the_smallest_rectangle_around_them() -> None:
    diamond = [(50.0, 20.0), (70.0, 40.0), (50.0, 60.0), (30.0, 40.0)]
    corners, rendered = export(polygon("a", diamond, [(50.0, 35.0), (52.0, 40.0), (48.0, 40.0)]))
    assert sorted(tuple(np.round(point, 3)) for point in corners[0]) == sorted(diamond)
    assert losses(rendered.losses) == {"degraded": ["a"]}


def test_the_smallest_rectangle_may_reach_over_the_edge() -> None:
    trapezium = [(0.0, 10.0), (10.0, 0.0), (60.0, 30.0), (30.0, 60.0)]
    corners, rendered = export(polygon("a", trapezium))
    found = sorted(tuple(np.round(point, 3) + 0.0) for point in corners[0])
    assert found == [(-10, 20), (20, -10), (30, 60), (60, 30)]
    assert losses(rendered.losses) == {"degraded": ["a"]}


def test_a_rectangle_that_ultralytics_refuses_is_cut_and_reported() -> None:
    # The box around the corners is larger than the image.
    sliver = [(0.0, 0.0), (100.0, 70.0), (90.0, 80.0)]
    one = image([polygon("a", sliver)], path="1.jpg", name="1.jpg")
    files, rendered = assemble(info("yolo_obb"), [one])
    numbers = [float(n) for n in files["labels/train/1.txt"].split()[1:]]
    assert numbers
    assert codes(rendered) == {"polygon.as_rectangle", "polygon.rectangle_cut"}
    assert losses(rendered.losses)["clamped"] == ["a"]
    _, kept = assemble(info("dota"), [one])
    assert codes(kept) == {"polygon.as_rectangle"}


def codes(rendered: Rendered) -> set[str]:
    found = {loss.code for rows in rendered.losses.losses.values() for loss in rows.values()}
    return found - {"split.empty"}


@given(
    st.lists(
        st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=3, max_size=6, unique=True
    )
)
def test_rows_of_polygons_are_what_ultralytics_takes(points: list[tuple[float, float]]) -> None:
    one = image([polygon("a", points)], path="1.jpg", name="1.jpg")
    files, rendered = assemble(info("yolo_obb"), [one])
    text = files["labels/train/1.txt"]
    assert FORMATS["yolo_obb"].writer.read(
        "labels/train/1.txt", iter(text.split(b"\n")), info("yolo_obb")
    ).annotation_count == len(text.splitlines())
    for line in text.splitlines():
        ring = np.reshape([float(n) for n in line.split()[1:]], (4, 2)) * (WIDTH, HEIGHT)
        across, down = ring[1] - ring[0], ring[3] - ring[0]
        if (
            "polygon.rectangle_cut" in codes(rendered)
            or min(map(np.linalg.norm, (across, down))) < 1
        ):
            continue
        # Around every point of the polygon.
        for axis in (across, down):
            along = (np.array(points) - ring[0]) @ (axis / np.linalg.norm(axis))
            assert along.min() > -0.01
            assert along.max() < np.linalg.norm(axis) + 0.01


@given(
    st.floats(-20, 120),
    st.floats(-20, 100),
    st.floats(0.1, 150),
    st.floats(0.1, 150),
    st.floats(0, 359.9),
)
def test_a_trimmed_box_is_a_part_of_the_box_on_the_image(
    cx: float, cy: float, w: float, h: float, angle: float
) -> None:
    whole = OrientedBox(cx, cy, w, h, angle)
    part = trim_box(whole, WIDTH, HEIGHT)
    if part is None:
        return
    assert part.angle == angle
    assert overshoot(bounds([part.corners()]), WIDTH, HEIGHT) <= TOLERANCE
    turn = math.radians(angle)
    for x, y in part.corners():
        dx, dy = x - cx, y - cy
        assert abs(dx * math.cos(turn) + dy * math.sin(turn)) <= w / 2 + 1e-6
        assert abs(dy * math.cos(turn) - dx * math.sin(turn)) <= h / 2 + 1e-6
    if overshoot(bounds([whole.corners()]), WIDTH, HEIGHT) == 0:
        assert part == whole


def test_categories_have_no_blanks_and_stay_apart() -> None:
    names = ("small vehicle", "small-vehicle", "small\tvehicle", "車")
    classes = tuple(DatasetClass(name) for name in names)
    annotations = [box(str(n), 1, 1, 5, 5, name=name) for n, name in enumerate(names)]
    annotations[0]["attributes"] = {"difficult": True}
    files, _ = assemble(
        info("dota", classes=classes), [image(annotations, path="1.png", name="1.png")]
    )
    lines = [line.split(" ") for line in files["default/labelTxt/1.txt"].decode().splitlines()]
    assert [line[8:] for line in lines] == [
        ["small-vehicle-0", "1"],
        ["small-vehicle", "0"],
        ["small-vehicle-2", "0"],
        ["車", "0"],
    ]
    assert [row["class"] for row in json.loads(files["categories.json"])] == list(names)
    assert (
        "The class 'small vehicle' is the category small-vehicle-0." in files["README.txt"].decode()
    )


def test_splits_of_dota() -> None:
    images = [image((), n, split=split) for n, split in enumerate((None, "val", "test"), 1)]
    files, _ = assemble(info("dota", organize_by_split=True), images)
    assert files["train/labelTxt/día_1~1.txt"] == b""
    assert files["valid/labelTxt/día_2~2.txt"] == files["test/labelTxt/día_3~3.txt"] == b""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("dota", "1 1 5 1 5 5 1 5 car"),
        ("dota", "1 1 5 1 5 5 1 5 truck 0"),
        ("dota", "1 1 5 1 5 5 1 5 car 2"),
        ("dota", "1 1 nan 1 5 5 1 5 car 0"),
        ("yolo_obb", "0 0.1 0.1 0.2 0.1 0.2 0.2"),
        ("yolo_obb", "0 0.1 0.1 1.2 0.1 1.2 0.2 0.1 0.2"),
        ("yolo_obb", "0 -0.3 0.1 0.2 0.1 0.2 0.2 -0.3 0.2"),
    ],
)
def test_lines_that_readers_refuse_do_not_pass(name: str, line: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FORMATS[name].writer.read("train/1.txt", iter([line.encode()]), info(name))
