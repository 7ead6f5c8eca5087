"""Documents with anything in any place: what comes in is valid, the rest is named; no traceback."""

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalog.annotations import normalise
from services.catalog.limits import excess
from services.formats.common.source import ImportFailed
from services.importing.dataset import read_dataset
from tests.unit.importing.dataset_files import write_image

ODD: list[Any] = [
    *(None, True, False, "", " ", "x", "1", "-1", "1.5", "nan", "\ud800", "a\0b", "x" * 200),
    *(0, -1, 1, 2, 0.5, -0.0, 1e300, 10**30, float("nan"), float("inf")),
    *([], {}, [1], [[]], [1, 2, 3, 4], [[1, 2, 3, 4, 5, 6]], {"a": 1}, [None] * 6, ["a", "b"]),
    {"size": [20, 40], "counts": [800]},
    {"size": [20, 40], "counts": "1"},
]
COCO: dict[str, Any] = {
    "info": {"year": 1},
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 20, "license": 1}],
    "categories": [
        {"id": 1, "name": "car", "supercategory": "thing", "color": "#010203"},
        {"id": 2, "name": "fly", "keypoints": ["head", "tail"], "skeleton": [[1, 2]]},
    ],
    "annotations": [
        {
            **{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            **{"score": 0.5, "attributes": {"a": [1]}, "caption": "x", "extra": {"a": 1}},
        },
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {
            **{"id": 3, "image_id": 1, "category_id": 1},
            "segmentation": {"size": [20, 40], "counts": [0, 2, 798]},
        },
        {"id": 4, "image_id": 1, "category_id": 2, "keypoints": [1, 2, 2, 3, 4, 1]},
    ],
}
PICTOGRAPH: dict[str, Any] = {
    "image": {"file": "a.jpg", "path": "a.jpg", "status": "new", "split": "train"},
    "annotations": [
        {
            **{"id": "1", "name": "car", "type": "bbox", "confidence": 1, "attributes": {"a": 1}},
            "bounding_box": {"x": 1, "y": 2, "w": 3, "h": 4},
        },
        {
            **{"id": "2", "name": "car", "type": "polygon"},
            "polygon": {"paths": [[{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 5}]]},
        },
    ],
}
XML = (
    "<annotation><filename>a.jpg</filename><size><width>40</width><height>20</height></size>"
    "<object><name>car</name><pose>Left</pose><difficult>1</difficult><bndbox><xmin>1</xmin>"
    "<ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>"
)
YAML = "path: .\ntrain: images\nval:\n  - images\nnames:\n  0: car\n  1: 'bus'\nx: &a [b]\ny: *a\n"
LABEL = "0 .5 .5 .2 .2\n1 .1 .1 .9 .1 .9 .9 .1 .9\n0 .5 .5 .2 .2 .9 7\n"
DARKNET = "classes = 2\ntrain = data/train.txt\nvalid = images\nnames = data/obj.names\n"
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:1,2,3::\n"
DATASET: dict[str, Any] = {
    "classes": [
        {
            **{"name": "car", "type": "bbox", "color": "#010203", "supercategory": "thing"},
            "attributes": [{"name": "a", "type": "select", "values": ["x"]}],
        },
        {
            **{"name": "fly", "type": "keypoint", "color": "#010203"},
            "skeleton": {"nodes": [{"name": "head", "x": 0.5, "y": 0}], "edges": [[0, 0]]},
        },
    ]
}
PIECES = ("", "\0", "-", "1e999", "nan", "9" * 50, "&a", "*a", "<", "]]>", "é", "\t", "[", "{", "~")


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    items: Any = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from _places(item, (*here, key))


def _with(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(copy[place[0]], place[1:], odd)
    return copy


def _odd_documents(value: Any) -> st.SearchStrategy[bytes]:
    """The document with odd values in up to three places."""
    places = st.lists(st.sampled_from([*_places(value)]), max_size=3)

    def changed(drawn: tuple[list[tuple[Any, ...]], list[Any]]) -> bytes:
        result = value
        for place, odd in zip(*drawn, strict=False):
            try:
                result = _with(result, place, odd)
            except (KeyError, IndexError, TypeError):
                continue
        return json.dumps(result).encode()

    odd = st.lists(st.sampled_from(ODD), min_size=3, max_size=3)
    return st.tuples(places, odd).map(changed)


def _odd_texts(text: str) -> st.SearchStrategy[bytes]:
    """The text with pieces cut out, and others put there."""
    cuts = st.tuples(st.integers(0, len(text)), st.integers(0, 12), st.sampled_from(PIECES))

    def changed(cut: list[tuple[int, int, str]]) -> bytes:
        result = text
        for place, length, piece in cut:
            result = result[:place] + piece + result[place + length :]
        return result.encode()

    return st.lists(cuts, max_size=3).map(changed) | st.binary(max_size=60)


CASES: dict[str, tuple[str, st.SearchStrategy[bytes], dict[str, str]]] = {
    "coco": ("labels/c.json", _odd_documents(COCO), {}),
    "pictograph": ("labels/a.json", _odd_documents(PICTOGRAPH), {}),
    "pascal_voc": ("labels/a.xml", _odd_texts(XML), {}),
    "yolo": ("labels/a.txt", _odd_texts(LABEL), {"labels/classes.txt": "car\nbus\n"}),
    "pascal_voc_labelmap": ("labelmap.txt", _odd_texts(LABELMAP), {"labels/a.xml": XML}),
    "pascal_voc_list": ("ImageSets/Main/val.txt", _odd_texts("a\na.jpg\n"), {"labels/a.xml": XML}),
    "pictograph_dataset": (
        *("labels/dataset.json", _odd_documents(DATASET)),
        {"labels/a.json": json.dumps(PICTOGRAPH)},
    ),
    "yolo_darknet": (
        *("labels/obj.data", _odd_texts(DARKNET)),
        {"labels/a.txt": LABEL, "labels/obj.names": "car\nbus\n", "labels/train.txt": "a.jpg"},
    ),
    "yolo_names": ("labels/classes.txt", _odd_texts("car\nbus\n"), {"labels/a.txt": LABEL}),
    "yolo_yaml": ("labels/data.yaml", _odd_texts(YAML), {"labels/a.txt": LABEL}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_comes_in_is_valid_and_the_rest_is_named(
    case: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where, contents, others = CASES[case]
    root = tmp_path_factory.mktemp(case)
    write_image(root / "images" / "a.jpg")
    (root / "labels").mkdir()
    (root / where).parent.mkdir(parents=True, exist_ok=True)
    for name, text in others.items():
        (root / name).write_text(text)

    @settings(max_examples=60)
    @given(contents)
    def check(content: bytes) -> None:
        (root / where).write_bytes(content)
        format_name = "pascal_voc" if case.startswith("pascal_voc") else case.partition("_")[0]
        try:
            source = read_dataset(format_name, root / "images", root / "labels")
        except ImportFailed:
            return
        items = list(source.items())
        names = {item.name for item in source.classes}
        for item in items:
            # What is too large, the upload leaves out.
            sent = [annotation for annotation in item.annotations if not excess(annotation)]
            assert normalise(orjson.dumps(sent)).count == len(sent)
            assert {annotation["name"] for annotation in item.annotations} <= names
        for issue in [*source.issues, *(issue for item in items for issue in item.issues)]:
            assert issue.item
            assert issue.message

    check()
