"""YOLO archives: rows, data.yaml, and nothing that a reader refuses."""

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.model import DatasetClass
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
from tests.unit.formats.test_geometry import covers

BOXES = ("car", "lane")
SQUARE = [(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)]
HOLE = [(15.0, 15.0), (25.0, 15.0), (25.0, 25.0), (15.0, 25.0)]


def rows_of(files: dict[str, bytes], stem: str) -> list[tuple[int, list[float]]]:
    rows = []
    for line in files[f"{stem}.txt"].decode().splitlines():
        class_id, *numbers = line.split(" ")
        assert all(number.replace(".", "").isdigit() for number in numbers)
        rows.append((int(class_id), [float(number) for number in numbers]))
    return rows


def export(
    *annotations: dict[str, Any], format_: str = "yolo", **fields: Any
) -> tuple[list[tuple[int, list[float]]], Rendered]:
    """The rows of one image of 100 by 80 pixels."""
    one = image(annotations, path="1.jpg", name="1.jpg")
    files, rendered = assemble(info(format_, **fields), [one])
    return rows_of(files, "labels/train/1"), rendered


def lost(rendered: Rendered) -> dict[str, list[str]]:
    """The losses of annotations: every one of these archives lacks images for validation."""
    found = losses(rendered.losses)
    found["degraded"].remove("data.yaml")
    return {kind: ids for kind, ids in found.items() if ids}


@pytest.mark.parametrize("class_filter", [(), BOXES])
@pytest.mark.parametrize("name", ["yolo", "yolo_obb", "yolo_pose", "dota"])
@given(lists=st.lists(annotation_lists(), max_size=3))
def test_every_annotation_is_there_or_reported(
    name: str, class_filter: tuple[str, ...], lists: list[list[dict[str, Any]]]
) -> None:
    export_info = info(name, class_filter=class_filter)
    images, first, selected = [], 1, 0
    for number, annotations in enumerate(lists, 1):
        images.append(image(annotations, number, first, (WIDTH, HEIGHT)))
        first += len(annotations)
        selected += len(images[-1].selected(export_info))
    files, rendered = assemble(export_info, images)
    tallies = [
        FORMATS[name].writer.read(path, iter(text.splitlines()), export_info)
        for path, text in files.items()
        if path not in ("manifest.json", "README.txt")
    ]
    assert sum(tally.image_count for tally in tallies) == len(lists)
    written = sum(tally.annotation_count for tally in tallies)
    assert written == rendered.annotation_count
    if name == "yolo_pose":
        assert written + rendered.losses.total("dropped") <= selected
    else:
        assert written + rendered.losses.total("dropped") == selected


def test_boxes_are_centre_and_size() -> None:
    rows, rendered = export(
        box("a", 10, 20, 30, 40), box("b", 0, 0, 100, 80, name="lane"), class_filter=BOXES
    )
    assert rows == [(0, [0.25, 0.5, 0.3, 0.5]), (1, [0.5, 0.5, 1, 1])]
    assert lost(rendered) == {}


def test_what_reaches_over_the_edge_is_cut_and_reported() -> None:
    rows, rendered = export(
        box("over", -10, 70, 30, 30),
        box("off", 200, 0, 10, 10),
        box("tiny", 10, 10, 1e-6, 5),
        box("rounding", 99, 0, 1.00000000001, 80),
        class_filter=BOXES,
    )
    assert rows == [(0, [0.1, 0.9375, 0.2, 0.125]), (0, [0.995, 0.5, 0.01, 1])]
    assert lost(rendered) == {"clamped": ["over"], "dropped": ["off", "tiny"]}


def test_what_a_row_has_no_place_for_is_reported() -> None:
    unheld = {"attributes": {"colour": "red"}, "confidence": 0.5}
    _, rendered = export(
        box("a", 10, 20, 30, 40, **unheld),
        box("b", 0, 0, 100, 80, attributes=[]),
        box("twice", 10, 20, 30, 40, **unheld),
        class_filter=BOXES,
    )
    assert lost(rendered) == {"degraded": ["a", "a"], "dropped": ["twice"]}
    codes = {loss.code for loss in rendered.losses.losses["degraded"].values()}
    assert codes - {"split.empty"} == {"attributes.unsupported", "score.unsupported"}


@given(
    st.sampled_from([10, 99, 640, 4096, 13_337, 2**20]),
    st.sampled_from([10, 480, 13_337]),
    st.floats(0, 0.9),
    st.floats(0.001, 0.1),
)
def test_digits_suffice_for_a_ten_thousandth_of_a_pixel(
    width: int, height: int, place: float, part: float
) -> None:
    x, y, w, h = place * width, place * height, part * width, part * height
    one = image([box("a", x, y, w, h)], size=(width, height))
    files, _ = assemble(info("yolo", class_filter=BOXES), [one])
    (line,) = files["labels/train/día_1~1.txt"].decode().splitlines()
    _, *numbers = map(float, line.split())
    cx, cy, bw, bh = np.array(numbers) * (width, height, width, height)
    found = np.array([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2])
    assert np.abs(found - (x, y, x + w, y + h)).max() < 1e-4


def test_equal_rows_are_written_once() -> None:
    rows, rendered = export(box("a", 1, 1, 5, 5), box("b", 1, 1, 5.0000001, 5), class_filter=BOXES)
    assert len(rows) == rendered.annotation_count == 1
    assert lost(rendered) == {"dropped": ["b"]}


def test_boxes_of_shapes_without_polygon_classes() -> None:
    turned = {"cx": 50.0, "cy": 40.0, "w": 20.0, "h": 20.0, "angle": 45.0}
    side = 20 * 2**0.5
    rows, rendered = export(
        box("a", 50 - side / 2, 40 - side / 2, side, side, oriented_box=turned),
        polygon("b", SQUARE, name="car"),
        annotation("polyline", "c", "lane", polyline={"path": [{"x": 1, "y": 1}] * 2}),
        keypoint("d", "car", 1, 1),
        class_filter=BOXES,
    )
    assert np.allclose(rows[0][1], [0.5, 0.5, side / 100, side / 80], atol=1e-6)
    assert rows[1] == (0, [0.2, 0.25, 0.2, 0.25])
    assert lost(rendered) == {"degraded": ["a", "b"], "dropped": ["c", "d"]}


def test_every_row_is_a_polygon_where_there_is_a_polygon_class() -> None:
    rows, rendered = export(polygon("a", SQUARE), box("b", 10, 10, 20, 20))
    corners = [0.1, 0.125, 0.3, 0.125, 0.3, 0.375, 0.1, 0.375]
    assert rows == [(1, corners), (0, corners)]
    assert lost(rendered) == {"degraded": ["b"]}


def test_holes_and_parts_are_joined_by_seams() -> None:
    part = [(x + 40, y) for x, y in SQUARE]
    rows, rendered = export(polygon("a", SQUARE, HOLE, part))
    ring = [(x * 100, y * 80) for x, y in np.reshape(rows[0][1], (-1, 2))]
    assert len(ring) == 12 + 2 * 2
    for x, y, inside in ((12, 20, True), (20, 20, False), (60, 20, True), (40, 20, False)):
        assert covers(ring, x, y + 0.1) == inside
    assert lost(rendered) == {"degraded": ["a"]}


def test_classes_keep_their_order_in_every_split() -> None:
    export_info = info("yolo", organize_by_split=True, class_filter=("lane", "car"))
    images = [
        image([box(str(n), 1, 1, 5, 5, name="lane")], n, n, split=split)
        for n, split in enumerate(("train", "val", "test", None), 1)
    ]
    files, rendered = assemble(export_info, images)
    assert sorted(files) == [
        "README.txt",
        "data.yaml",
        "manifest.json",
        "test/labels/día_3~3.txt",
        "train/labels/día_1~1.txt",
        "train/labels/día_4~4.txt",
        "valid/labels/día_2~2.txt",
    ]
    for stem in ("test/labels/día_3~3", "valid/labels/día_2~2"):
        assert [class_id for class_id, _ in rows_of(files, stem)] == [1]
    assert yaml.safe_load(files["data.yaml"]) == {
        "train": "train/images",
        "val": "valid/images",
        "test": "test/images",
        "nc": 2,
        "names": {0: "car", 1: "lane"},
    }
    assert losses(rendered.losses) == {"renamed": [f"image-{n}" for n in range(1, 5)]}
    assert FORMATS["yolo"].writer.image_path(images[1], export_info) == "valid/images/día_2~2.jpg"


@pytest.mark.parametrize(
    ("splits", "train", "val", "test"),
    [
        (("train",), "train", "train", None),
        (("val",), "val", "val", None),
        (("test", "val"), "val", "val", "test"),
        ((None, "test"), "train", "train", "test"),
    ],
)
def test_data_yaml_names_only_folders_that_have_images(
    splits: tuple[str | None, ...], train: str, val: str, test: str | None
) -> None:
    images = [image((), n, split=split) for n, split in enumerate(splits, 1)]
    files, rendered = assemble(info("yolo"), images)
    value = yaml.safe_load(files["data.yaml"])
    assert value["train"] == f"images/{train}"
    assert value["val"] == f"images/{val}"
    assert value.get("test") == (f"images/{test}" if test else None)
    assert losses(rendered.losses)["degraded"] == ["data.yaml"]
    assert "data.yaml names those of" in files["README.txt"].decode()


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_class_names_come_back_from_yaml(names: list[str]) -> None:
    names += ["no", "1e3", "~", "a: b #", '"', "\\", "\u2028", "建物 🚗"]
    classes = tuple(DatasetClass(name) for name in dict.fromkeys(names))
    files, _ = assemble(info("yolo", classes=classes), [])
    value = yaml.safe_load(files["data.yaml"])
    assert list(value["names"].values()) == [c.name for c in classes]
    assert value["nc"] == len(classes)


def test_images_that_ultralytics_refuses_are_reported() -> None:
    images = [
        image(number=1, size=(9, 20), path="a.png", name="a.png"),
        image(number=2, path="b.GIF", name="b.GIF"),
        image(number=3, path="cam/frame", name="cam/frame"),
        image(number=4, path="c.jfif", name="c.jfif"),
        image(number=5, path="d.JPEG", name="d.JPEG"),
    ]
    _, rendered = assemble(info("yolo"), images)
    reported = {loss.code: loss.ids for loss in rendered.losses.losses["degraded"].values()}
    assert reported.pop("split.empty") == ["data.yaml"]
    assert reported == {
        "image.too_small": ["image-1"],
        "image.gif": ["image-2"],
        "image.extension": ["image-3", "image-4"],
    }


@pytest.mark.parametrize(
    "line",
    ["0 0.5 0.5 0.2", "9 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1 1.000100", "0 0.5 0.5 -0.1 0.1", "x",
     "0 0.5 0.5 0.1 0.000000", "0 0.5 0.5 0.1 1e-3"],
)  # fmt: skip
def test_rows_that_readers_refuse_do_not_pass(line: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FORMATS["yolo"].writer.read(
            "labels/train/a.txt", iter([line.encode()]), info("yolo", class_filter=BOXES)
        )


@pytest.mark.parametrize(
    "text",
    [
        "names: {0: car}\nnc: 1\ntrain: a\nval: b",
        "names: {0: car, 1: lane}\nnc: 2\ntrain: a\nval:",
        "names: {0: car, 1: lane}\nnc: 3\ntrain: a\nval: b",
    ],
)
def test_a_data_yaml_of_something_else_does_not_pass(text: str) -> None:
    with pytest.raises(ValueError, match=r"names|needs"):
        FORMATS["yolo"].writer.read(
            "data.yaml", iter(text.encode().splitlines()), info("yolo", class_filter=BOXES)
        )


def test_the_manifest_has_the_class_ids() -> None:
    assert FORMATS["yolo"].first_class_id == 0
    assert len(CLASSES) == len(yaml.safe_load(assemble(info("yolo"), [])[0]["data.yaml"])["names"])
