"""The wire form: what is refused and where, what is completed, what stays."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.annotations import normalise
from services.catalog.limits import excess
from services.errors import Invalid

BOX = {"x": 1, "y": -2.5, "w": 3, "h": 4}
POINT = {"x": 5.5, "y": 6}
RING = [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}]
BBOX = {"name": "car", "type": "bbox", "bounding_box": BOX}
ORIENTED = {"cx": 2, "cy": 2, "w": 3, "h": 4, "angle": 30}
TURNED = {**BBOX, "oriented_box": ORIENTED}
POLYGON = {"name": "car", "type": "polygon", "polygon": {"paths": [RING]}}
POLYLINE = {"name": "lane", "type": "polyline", "polyline": {"path": RING[:2]}}
KEYPOINT = {"name": "nose", "type": "keypoint", "keypoint": POINT}

FINITE = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53))
POSITIVE = st.floats(min_value=1e-9, max_value=1e9)
POINTS = st.fixed_dictionaries({"x": FINITE, "y": FINITE})
BOXES = st.fixed_dictionaries({"x": FINITE, "y": FINITE, "w": POSITIVE, "h": POSITIVE})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
OPTIONAL = {
    "confidence": st.floats(0, 1),
    "created_by": st.none() | st.text(max_size=5),
    "attributes": st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=5), JSON),
}
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    str.strip
)


def _annotations(kind: str, required: dict[str, Any], optional: dict[str, Any]) -> Any:
    return st.fixed_dictionaries(
        {"name": NAMES, "type": st.just(kind), **required}, optional={**OPTIONAL, **optional}
    )


ANNOTATIONS = st.one_of(
    _annotations(
        "bbox",
        {"bounding_box": BOXES},
        {
            "oriented_box": st.none()
            | st.fixed_dictionaries(
                {"cx": FINITE, "cy": FINITE, "w": POSITIVE, "h": POSITIVE},
                optional={"angle": st.floats(0, 360, exclude_max=True)},
            )
        },
    ),
    _annotations(
        "polygon",
        {
            "polygon": st.fixed_dictionaries(
                {
                    "paths": st.lists(
                        st.lists(POINTS, min_size=3, max_size=5), min_size=1, max_size=3
                    )
                }
            )
        },
        {"bounding_box": st.none() | BOXES},
    ),
    _annotations(
        "polyline",
        {"polyline": st.fixed_dictionaries({"path": st.lists(POINTS, min_size=2, max_size=5)})},
        {"bounding_box": st.none() | BOXES},
    ),
    _annotations(
        "keypoint", {"keypoint": POINTS}, {"instance_id": st.none() | st.integers(1, 2**31)}
    ),
)


def _documents(*annotations: dict[str, Any]) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = orjson.loads(normalise(orjson.dumps(annotations)).document)
    return value


@given(st.lists(ANNOTATIONS, max_size=4))
def test_every_valid_annotation_is_kept_and_completed(values: list[dict[str, Any]]) -> None:
    values = [value for value in values if excess(value) is None]
    valid = normalise(orjson.dumps(values))
    assert valid.count == len(values)
    assert sum(valid.class_counts.values()) == len(values)
    assert normalise(orjson.dumps(values)) == valid
    # Valid documents stay as they are, byte for byte.
    assert normalise(valid.document) == valid
    for before, after in zip(values, orjson.loads(valid.document), strict=True):
        assert after.pop("id")
        expected = {key: value for key, value in before.items() if value is not None}
        if "angle" not in expected.get("oriented_box", {"angle": 0}):
            expected["oriented_box"] = {**expected["oriented_box"], "angle": 0.0}
        assert after == {"confidence": 1.0, "attributes": [], **expected}
        assert valid.class_types[after["name"]] in ("bbox", "polygon", "polyline", "keypoint")


def test_empty_and_defaults() -> None:
    assert normalise(b"").document == b"[]"
    assert normalise(b"[]").count == 0
    (box,) = _documents({**TURNED, "created_by": None, "id": "a"})
    assert orjson.dumps(box) == (
        b'{"id":"a","name":"car","type":"bbox",'
        b'"bounding_box":{"x":1.0,"y":-2.5,"w":3.0,"h":4.0},'
        b'"oriented_box":{"cx":2.0,"cy":2.0,"w":3.0,"h":4.0,"angle":30.0},'
        b'"confidence":1.0,"attributes":[]}'
    )
    assert "instance_id" not in _documents({**KEYPOINT, "instance_id": None})[0]


def test_made_ids_are_stable_and_unique() -> None:
    first, second = _documents(BBOX, BBOX)
    assert first["id"] != second["id"]
    reordered = dict(reversed(BBOX.items()))
    assert _documents(reordered)[0]["id"] == first["id"]


def test_counts_by_class_and_first_type() -> None:
    valid = normalise(orjson.dumps([POLYGON, BBOX, KEYPOINT]))
    assert valid.class_counts == {"car": 2, "nose": 1}
    assert valid.class_types == {"car": "polygon", "nose": "keypoint"}


@pytest.mark.parametrize(
    ("annotation", "field"),
    [
        ([], ""),
        ("car", ""),
        ({**BBOX, "type": "box"}, "type"),
        ({**BBOX, "type": "skeleton"}, "type"),
        ({**BBOX, "type": ["bbox"]}, "type"),
        ({"name": "car", "bounding_box": BOX}, "type"),
        ({**BBOX, "created_at": "2026-01-01"}, "created_at"),
        ({**BBOX, "instance_id": 1}, "instance_id"),
        ({**BBOX, "name": " "}, "name"),
        ({**BBOX, "name": None}, "name"),
        ({**BBOX, "name": "x" * 121}, "name"),
        ({**BBOX, "id": ""}, "id"),
        ({**BBOX, "id": None}, "id"),
        ({**BBOX, "id": 7}, "id"),
        ({**BBOX, "confidence": None}, "confidence"),
        ({**BBOX, "confidence": 1.5}, "confidence"),
        ({**BBOX, "confidence": True}, "confidence"),
        ({**BBOX, "confidence": "0.5"}, "confidence"),
        ({**BBOX, "attributes": None}, "attributes"),
        ({**BBOX, "attributes": "red"}, "attributes"),
        ({**BBOX, "created_by": 3}, "created_by"),
        ({**BBOX, "bounding_box": None}, "bounding_box"),
        ({**BBOX, "bounding_box": [1, 2, 3, 4]}, "bounding_box"),
        ({**BBOX, "bounding_box": {**BOX, "w": 0}}, "bounding_box.w"),
        ({**BBOX, "bounding_box": {**BOX, "h": -1}}, "bounding_box.h"),
        ({**BBOX, "bounding_box": {**BOX, "x": "1"}}, "bounding_box.x"),
        ({**BBOX, "bounding_box": {**BOX, "x": True}}, "bounding_box.x"),
        ({**BBOX, "bounding_box": {**BOX, "z": 1}}, "bounding_box.z"),
        ({**BBOX, "bounding_box": {"x": 1, "y": 1, "w": 1}}, "bounding_box.h"),
        (
            {**TURNED, "oriented_box": {**ORIENTED, "angle": 360}},
            "oriented_box.angle",
        ),
        (
            {**TURNED, "oriented_box": {**ORIENTED, "angle": None}},
            "oriented_box.angle",
        ),
        ({**TURNED, "oriented_box": {**ORIENTED, "w": 0}}, "oriented_box.w"),
        ({**POLYGON, "oriented_box": None}, "oriented_box"),
        ({**POLYGON, "polygon": {"path": RING}}, "polygon"),
        ({**POLYGON, "polygon": {"paths": [RING], "path": RING}}, "polygon.path"),
        ({**POLYGON, "polygon": {"paths": []}}, "polygon.paths"),
        ({**POLYGON, "polygon": {"paths": [RING, RING[:2]]}}, "polygon.paths[1]"),
        ({**POLYGON, "polygon": {"paths": [[*RING, {"x": 1}]]}}, "polygon.paths[0][3].y"),
        ({**POLYGON, "polygon": {"paths": [[*RING, {**POINT, "z": 1}]]}}, "polygon.paths[0][3].z"),
        ({**POLYLINE, "polyline": {"path": RING[:1]}}, "polyline.path"),
        ({**POLYLINE, "polyline": {"path": RING, "closed": True}}, "polyline.closed"),
        ({**KEYPOINT, "bounding_box": None}, "bounding_box"),
        ({**KEYPOINT, "keypoint": {"x": 1}}, "keypoint.y"),
        ({**KEYPOINT, "instance_id": 0}, "instance_id"),
        ({**KEYPOINT, "instance_id": 1.5}, "instance_id"),
        ({**KEYPOINT, "instance_id": True}, "instance_id"),
    ],
)
def test_what_is_wrong_is_named(annotation: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        normalise(orjson.dumps([BBOX, annotation]))
    assert list(caught.value.fields) == [f"annotations[1].{field}".rstrip(".")]


def test_ids_are_unique_in_an_image() -> None:
    with pytest.raises(Invalid) as caught:
        normalise(orjson.dumps([{**BBOX, "id": "a"}, KEYPOINT, {**POLYGON, "id": "a"}]))
    assert list(caught.value.fields) == ["annotations[2].id"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"null",
        b"[",
        b"\xff",
        b'[{"name":"a","type":"keypoint","keypoint":{"x":NaN,"y":1}}]',
        b'[{"name":"a","type":"keypoint","keypoint":{"x":1e999,"y":1}}]',
        b'[{"name":"a","type":"keypoint","keypoint":{"x":1,"y":1},"attributes":'
        + b"[" * 300
        + b"]" * 300
        + b"}]",
        b'[{"name":"a","id":"1","type":"keypoint","keypoint":{"x":1,"y":1},"attributes":'
        + b"[" * 300
        + b"]" * 300
        + b"}]",
    ],
)
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        normalise(raw)


def test_the_attributes_of_each_class_are_told() -> None:
    values = [
        {**BBOX, "attributes": {"age": 3, "worn": True, "tags": ["a"]}},
        {**POLYGON, "attributes": {"age": "old", "name": "x"}},
        {**KEYPOINT, "attributes": {"occluded": "true", "side": "left"}},
        {**POLYLINE, "attributes": ["wet", {"name": "lanes", "value": 2}, 7, {"value": 1}]},
        {**BBOX, "name": "bus"},
    ]
    assert normalise(orjson.dumps(values)).attribute_types == {
        "car": {"age": "number", "worn": "text", "tags": "text", "name": "text"},
        "nose": {"side": "text"},
        "lane": {"wet": "text", "lanes": "number"},
    }
