"""The Pictograph wire form of annotations: checked, completed, counted.

The rules are those of the models in the official SDK (1.69.146), and stricter where those
let pass what no reader takes: NaN, infinity, numbers as text. Checks are written out by
hand: every image that comes in passes here.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import orjson

from services.catalog.limits import document_excess, excess
from services.catalog.shapes import Extents
from services.errors import Invalid
from services.texts import control_error

MAX_NAME = 120
#: Raised, up to 255, whenever `normalise` may make another document of the same bytes: those that
#: came in before are then asked for once more.
NORMALISED = 1

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "annotation.cartouche")
_COMMON = frozenset(("id", "name", "type", "confidence", "created_by", "attributes"))


@dataclass(frozen=True, slots=True)
class ValidAnnotations:
    """All annotations of an image, in the form that is stored."""

    #: A JSON array, compact, UTF-8.
    document: bytes
    count: int
    #: Annotations by class name.
    class_counts: dict[str, int]
    #: The type of the first annotation of each class, for classes that the dataset lacks.
    class_types: dict[str, str]
    #: The shape of each annotation, in order.
    extents: Extents = field(default_factory=Extents)
    #: The attributes that the annotations of each class carry, with the type of their first
    #: value, in order of first appearance.
    attribute_types: dict[str, dict[str, str]] = field(default_factory=dict)


def normalise(raw: bytes) -> ValidAnnotations:
    """Checks the annotations of one image and completes what they leave out.

    Missing ids are made from place and content, so that the same input gives the same
    document; confidence defaults to 1, attributes to none. Nothing that is null is kept.

    Args:
        raw: a JSON array, UTF-8; empty bytes mean no annotation.

    Raises:
        Invalid: the first thing that is wrong, with its index and field.
    """
    _check_size(len(raw))
    try:
        values = orjson.loads(raw) if raw else []
    except orjson.JSONDecodeError as error:
        raise Invalid.of("annotations", f"is not JSON in UTF-8: {error}") from None
    if type(values) is not list:
        raise Invalid.of("annotations", "must be an array of annotations")
    annotations: list[dict[str, Any]] = []
    ids: dict[str, int] = {}
    counts: dict[str, int] = {}
    types: dict[str, str] = {}
    attributes: dict[str, dict[str, str]] = {}
    for index, value in enumerate(values):
        annotation = complete(value, index)
        if problem := excess(annotation):
            raise Invalid.of(f"annotations[{index}]", f"{problem}; simplify it or part it")
        first = ids.setdefault(annotation["id"], index)
        if first != index:
            raise Invalid.of(
                f"annotations[{index}].id", f"is the id of annotations[{first}] too; ids are unique"
            )
        name = annotation["name"]
        if name in counts:
            counts[name] += 1
        else:
            counts[name] = 1
            types[name] = annotation["type"]
        if annotation["attributes"]:
            known = attributes.setdefault(name, {})
            for attribute, value_type in _attribute_types(annotation["attributes"]):
                # A hidden joint is a matter of its visibility.
                if attribute != "occluded" or annotation["type"] != "keypoint":
                    known.setdefault(attribute, value_type)
        annotations.append(annotation)
    try:
        document = orjson.dumps(annotations)
    except TypeError as error:
        raise Invalid.of("annotations", f"attributes are nested too deep: {error}") from None
    # What was left out and is now there counts too.
    _check_size(len(document))
    return ValidAnnotations(
        document, len(annotations), counts, types, Extents(annotations), attributes
    )


def _check_size(size: int) -> None:
    if problem := document_excess(size):
        raise Invalid.of("annotations", f"{problem}; simplify them or part the image")


def _attribute_types(attributes: dict[str, Any] | list[Any]) -> Iterator[tuple[str, str]]:
    """Name and type of each attribute that has a name, in either form; what is no number may
    be any text another time."""
    named = attributes.items() if isinstance(attributes, dict) else _named_items(attributes)
    for name, value in named:
        yield name, "number" if type(value) in (int, float) else "text"


def _named_items(attributes: list[Any]) -> Iterator[tuple[str, Any]]:
    for item in attributes:
        if isinstance(item, str):
            yield item, True
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"], item.get("value")


def complete(value: Any, index: int) -> dict[str, Any]:
    """One annotation with every field that is always there, in the order of the wire form.

    Args:
        value: what JSON gave.
        index: its place among the annotations of the image.

    Raises:
        Invalid: the first field that is wrong.
    """
    try:
        return _completed(value, index)
    except _Wrong as wrong:
        place = f"annotations[{index}]"
        field = f"{place}.{wrong.field}" if wrong.field else place
        raise Invalid.of(field, wrong.problem) from None


class _Wrong(Exception):
    """A field, addressed from its annotation, and what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


def _completed(value: Any, index: int) -> dict[str, Any]:
    if type(value) is not dict:
        raise _Wrong("", "must be an object")
    kind = value.get("type")
    if type(kind) is not str or kind not in _GEOMETRIES:
        raise _Wrong("type", f"must be one of {', '.join(_GEOMETRIES)}")
    allowed = _KEYS[kind]
    if not value.keys() <= allowed:
        unknown = min(value.keys() - allowed)
        raise _Wrong(unknown, f"is unknown; a {kind} has {', '.join(sorted(allowed))}")
    name = value.get("name")
    if type(name) is not str or not name.strip() or len(name) > MAX_NAME:
        raise _Wrong("name", f"must be a class name of 1 to {MAX_NAME} characters")
    if problem := control_error(name):
        raise _Wrong("name", problem)
    if "id" not in value:
        identifier = _made_id(value, index)
    else:
        identifier = value["id"]
        if type(identifier) is not str or not identifier.strip():
            raise _Wrong("id", "must be text that is not blank, or left out")
    result: dict[str, Any] = {"id": identifier, "name": name, "type": kind}
    _GEOMETRIES[kind](value, result)
    confidence = value.get("confidence", 1.0)
    if type(confidence) not in (float, int) or not 0 <= confidence <= 1:
        raise _Wrong("confidence", "must be a number from 0 to 1, or left out")
    result["confidence"] = float(confidence)
    created_by = value.get("created_by")
    if created_by is not None:
        if type(created_by) is not str:
            raise _Wrong("created_by", "must be text or null")
        result["created_by"] = created_by
    attributes = value.get("attributes", [])
    if type(attributes) is not dict and type(attributes) is not list:
        raise _Wrong("attributes", "must be an object or an array, or left out")
    result["attributes"] = attributes
    instance = value.get("instance_id")
    if instance is not None:
        if type(instance) is not int or instance < 1:
            raise _Wrong("instance_id", "must be a whole number from 1, or null")
        result["instance_id"] = instance
    return result


def _made_id(value: dict[str, Any], index: int) -> str:
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise _Wrong("attributes", f"cannot be stored: {error}") from None
    return str(uuid.uuid5(_NAMESPACE, f"{index}:{content.decode()}"))


def _numbers(value: Any, keys: tuple[str, ...], at: str) -> dict[str, float]:
    """An object of exactly these finite numbers."""
    if type(value) is not dict:
        raise _Wrong(at, f"must be an object of {', '.join(keys)}")
    result: dict[str, float] = {}
    for key in keys:
        number = value.get(key)
        if type(number) is not float and type(number) is not int:
            raise _Wrong(f"{at}.{key}", "must be a number")
        result[key] = float(number)
        if not isfinite(number):
            raise _Wrong(f"{at}.{key}", "must be finite")
    if len(value) != len(keys):
        unknown = min(value.keys() - set(keys))
        raise _Wrong(f"{at}.{unknown}", f"is unknown; there are {', '.join(keys)}")
    return result


def _box(value: Any, keys: tuple[str, ...], at: str) -> dict[str, float]:
    box = _numbers(value, keys, at)
    if box["w"] <= 0:
        raise _Wrong(f"{at}.w", "must be above 0")
    if box["h"] <= 0:
        raise _Wrong(f"{at}.h", "must be above 0")
    return box


def _points(value: Any, least: int, at: str) -> list[dict[str, float]]:
    if type(value) is not list or len(value) < least:
        raise _Wrong(at, f"must be an array of at least {least} points {{x, y}}")
    points = []
    for index, point in enumerate(value):
        # The plain case first: outlines are most of what comes in.
        if type(point) is dict and len(point) == 2:
            x, y = point.get("x"), point.get("y")
            if type(x) is float and type(y) is float and isfinite(x) and isfinite(y):
                points.append(point)
                continue
        points.append(_numbers(point, ("x", "y"), f"{at}[{index}]"))
    return points


def _only(value: Any, key: str, at: str) -> Any:
    """What an object of this one key holds."""
    if type(value) is not dict or key not in value:
        raise _Wrong(at, f"must be an object with {key}")
    if len(value) != 1:
        raise _Wrong(f"{at}.{min(value.keys() - {key})}", f"is unknown; there is {key}")
    return value[key]


def _read_bbox(value: dict[str, Any], result: dict[str, Any]) -> None:
    result["bounding_box"] = _box(value.get("bounding_box"), _BOX, "bounding_box")
    oriented = value.get("oriented_box")
    if oriented is None:
        return
    if type(oriented) is dict and "angle" not in oriented:
        oriented = {**oriented, "angle": 0.0}
    box = _box(oriented, _ORIENTED_BOX, "oriented_box")
    if not 0 <= box["angle"] < 360:
        raise _Wrong("oriented_box.angle", "must be at least 0 and below 360 degrees")
    result["oriented_box"] = box


def _read_enclosure(value: dict[str, Any], result: dict[str, Any]) -> None:
    if value.get("bounding_box") is not None:
        result["bounding_box"] = _box(value["bounding_box"], _BOX, "bounding_box")


def _read_polygon(value: dict[str, Any], result: dict[str, Any]) -> None:
    _read_enclosure(value, result)
    paths = _only(value.get("polygon"), "paths", "polygon")
    if type(paths) is not list or not paths:
        raise _Wrong("polygon.paths", "must be an array of at least one ring")
    result["polygon"] = {
        "paths": [_points(path, 3, f"polygon.paths[{index}]") for index, path in enumerate(paths)]
    }


def _read_polyline(value: dict[str, Any], result: dict[str, Any]) -> None:
    _read_enclosure(value, result)
    path = _only(value.get("polyline"), "path", "polyline")
    result["polyline"] = {"path": _points(path, 2, "polyline.path")}


def _read_keypoint(value: dict[str, Any], result: dict[str, Any]) -> None:
    result["keypoint"] = _numbers(value.get("keypoint"), ("x", "y"), "keypoint")


_BOX = ("x", "y", "w", "h")
_ORIENTED_BOX = ("cx", "cy", "w", "h", "angle")
_GEOMETRIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "bbox": _read_bbox,
    "polygon": _read_polygon,
    "polyline": _read_polyline,
    "keypoint": _read_keypoint,
}
_KEYS = {
    "bbox": _COMMON | {"bounding_box", "oriented_box"},
    "polygon": _COMMON | {"bounding_box", "polygon"},
    "polyline": _COMMON | {"bounding_box", "polyline"},
    "keypoint": _COMMON | {"keypoint", "instance_id"},
}
