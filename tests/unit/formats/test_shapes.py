"""Annotations put on their image, and the rasters that formats make of them."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from services.formats.common.geometry import clip_line
from services.formats.common.loss_report import LossReport
from services.formats.common.masks import even_odd_crop, even_odd_mask
from services.formats.common.objects import Object, Pose, objects
from services.formats.common.png import mask_png
from services.formats.common.shapes import Joint, TurnedBox
from services.formats.common.xml_text import quoted
from tests.unit.formats.archives import annotation, box, image, info, keypoint, losses, polygon
from tests.unit.formats.generated import HEIGHT, WIDTH

# numpy's word about a method of pycocotools that only its `decode` calls.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

_POINT = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))
_RINGS = st.lists(st.lists(_POINT, min_size=3, max_size=8), min_size=1, max_size=3)


def found(*annotations: dict[str, Any], **fields: Any) -> tuple[list[Object], LossReport]:
    one, export, report = image(annotations), info("csv", **fields), LossReport()
    return objects(one, export, one.selected(export), report), report


def test_joints_of_an_instance_are_one_object_in_the_order_of_its_skeleton() -> None:
    items, report = found(
        keypoint("a", "left eye", 20, 10, 1, attributes={"occluded": "yes", "age": "old"}),
        box("b", 1, 1, 5, 5, confidence=0.5),
        keypoint("c", "nose", 110, 20, 1, confidence=0.25),
        keypoint("d", "landmark", 5, 5),
    )
    assert [(item.number, item.id, item.class_name) for item in items] == [
        (1, "a", "person"),
        (2, "b", "car"),
        (4, "d", "landmark"),
    ]
    pose = items[0]
    assert isinstance(pose.shape, Pose)
    assert pose.shape.joints == (
        Joint("nose", (100, 20), 2),
        Joint("left eye", (20, 10), 1),
        None,
    )
    assert pose.attributes == {"age": "old"}
    assert pose.confidence == 0.25
    assert pose.is_cut
    assert items[1].attributes_with_score == {"score": 0.5}
    assert losses(report) == {"clamped": ["c"]}


def test_a_rotated_box_is_cut_only_where_the_format_cuts_it() -> None:
    over = {"cx": 95.0, "cy": 40.0, "w": 20.0, "h": 10.0, "angle": 30.0}
    one = image([box("a", 85, 30, 20, 20, oriented_box=over)])
    export = info("csv")
    for cuts in (True, False):
        report = LossReport()
        items = objects(one, export, one.selected(export), report, cuts_turned_boxes=cuts)
        shape = items[0].shape
        assert isinstance(shape, TurnedBox)
        assert shape.oriented.cx == 95
        assert max(x for x, _ in shape.ring) == 100
        assert losses(report) == ({"clamped": ["a"]} if cuts else {})


def test_what_is_not_on_the_image_is_dropped() -> None:
    line = {"path": [{"x": 200, "y": 0}, {"x": 300, "y": 50}]}
    items, report = found(
        box("off", 200, 0, 10, 10),
        box("flat", 10, 10, 0, 5),
        polygon("line", [(10, 10), (20, 20), (15, 15)]),
        annotation("polyline", "away", "lane", polyline=line),
        keypoint("far", "nose", 1, -1e300),
        box("unknown", 1, 1, 5, 5) | {"name": "bus"},
    )
    assert items == []
    assert losses(report) == {"dropped": ["away", "far", "flat", "line", "off", "unknown"]}


def test_a_line_is_cut_where_it_leaves_the_image() -> None:
    assert clip_line([(-100, 50), (50, 0)], 100, 80) == [(0, pytest.approx(50 / 3)), (50, 0)]
    assert clip_line([(10, 10), (10, 200), (90, 200), (90, 10)], 100, 80) == [
        (10, 10),
        (10, 80),
        (90, 80),
        (90, 10),
    ]
    assert clip_line([(-5, -5), (-5, 90)], 100, 80) == []
    assert clip_line([(1, 1), (2, 2)], 100, 80) == [(1, 1), (2, 2)]


@given(st.lists(st.tuples(st.floats(-200, 300), st.floats(-200, 300)), min_size=2, max_size=6))
def test_a_cut_line_is_on_the_image(line: list[tuple[float, float]]) -> None:
    for x, y in clip_line(line, WIDTH, HEIGHT):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


@given(_RINGS)
def test_a_crop_is_the_raster_along_the_rows(rings: list[list[tuple[float, float]]]) -> None:
    crop = even_odd_crop(rings)
    assert crop.runs.sum() == crop.width * crop.height
    pixels = np.repeat(np.arange(len(crop.runs)) % 2, crop.runs).reshape(crop.height, crop.width)
    whole = np.zeros((HEIGHT + 1, WIDTH + 1), int)
    part = whole[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    part[:] = pixels
    mirrored = even_odd_mask([[(y, x) for x, y in ring] for ring in rings], HEIGHT, WIDTH)
    expected = coco_mask.decode({"size": [WIDTH, HEIGHT], "counts": mirrored.counts}).T
    assert np.array_equal(whole[:HEIGHT, :WIDTH], expected)
    assert crop.area == expected.sum()


@given(_RINGS, st.sampled_from([1, 7, 1 << 20]))
def test_a_png_holds_the_raster(rings: list[list[tuple[float, float]]], band: int) -> None:
    crop = even_odd_crop(rings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.formats.common.png._BAND", band)
        picture = Image.open(BytesIO(mask_png(crop)))
    assert picture.mode == "1"
    pixels = np.repeat(np.arange(len(crop.runs)) % 2, crop.runs).reshape(crop.height, crop.width)
    assert np.array_equal(np.asarray(picture), pixels)


def test_text_for_xml_has_no_illegal_characters() -> None:
    assert (
        quoted('a<b>&"c"\x00\x0b\ufffe\n\t\r😀') == "a&lt;b&gt;&amp;&quot;c&quot;&#10;&#9;&#13;😀"
    )
