"""Attributes of annotations, in both forms in which they come."""

from collections.abc import Mapping
from typing import Any

import orjson

from services.formats.common.keypoints import says_yes


def attributes_of(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes by name; those of the old list form by their position where they have none."""
    attributes = annotation.get("attributes") or {}
    if isinstance(attributes, dict):
        return attributes
    named = {}
    for position, item in enumerate(attributes):
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            named[item["name"]] = item.get("value", True)
        elif isinstance(item, str):
            named[item] = True
        else:
            named[str(position)] = item
    return named


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Whether it is a region of many objects, COCO's `iscrowd`: its attribute of that name."""
    return bool(annotation.get("attributes")) and says_yes(attributes_of(annotation).get("iscrowd"))


def attribute_text(value: Any) -> str:
    """An attribute's value as text: words as they are, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def take_flag(attributes: Mapping[str, Any], name: str) -> tuple[dict[str, Any], bool]:
    """The attributes without the one of this name, and whether that says yes."""
    if name not in attributes:
        return dict(attributes), False
    rest = {key: value for key, value in attributes.items() if key != name}
    return rest, says_yes(attributes[name])
