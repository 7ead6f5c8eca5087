"""Values of COCO documents, as tools write them: strict JSON types, or what plainly means one."""

import math
import re
from typing import Any

from services.formats.common.annotations import number_of
from services.formats.common.plain_values import is_storable

_WHOLE = re.compile(r"\s*(-?\d{1,18})\s*", re.ASCII)
#: What a field holds where a tool had nothing to say.
_NOTHING: tuple[Any, ...] = (None, "", 0, False, "n/a")
_IDS = frozenset(("id", "image_id", "category_id"))


def identifier(value: Any) -> int | str | None:
    """An id: a whole number, also written as text or with a fraction of 0, or other text.

    None: it is anything else.
    """
    if type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and value.strip() and is_storable(value):
        found = _WHOLE.fullmatch(value)
        return int(found[1]) if found else value
    return None


def numbers(value: Any) -> list[float] | None:
    """A list of finite numbers, also written as text. None: it is anything else."""
    if not isinstance(value, list):
        return None
    found: list[float] = []
    for item in value:
        number = number_of(item) if isinstance(item, str) else item
        if type(number) not in (int, float) or not math.isfinite(number):
            return None
        found.append(float(number))
    return found


def flag(value: Any) -> bool:
    """Whether a field such as `iscrowd` says yes."""
    return value is True or identifier(value) == 1 or str(value).lower() == "true"


def kind(value: Any) -> str:
    """The type of a value, as messages name it."""
    if value is None:
        return "missing or null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


def is_empty(value: Any) -> bool:
    """Whether there is nothing in it to lose: nothing, zero, or only such values."""
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif item not in _NOTHING:
                return False
        level = below
    return True


def filled(row: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What two annotations of the same object say of it: the fields of one, and those of the
    other where they are empty, attributes one by one; but not their ids."""
    whole = {**other, **{key: value for key, value in row.items() if not is_empty(value)}}
    own, others = row.get("attributes"), other.get("attributes")
    if isinstance(own, dict) and isinstance(others, dict):
        whole["attributes"] = {**others, **own}
    return {key: value for key, value in whole.items() if key not in _IDS}
