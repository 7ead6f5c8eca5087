"""Values of source documents: what can be stored, and how a message shows them."""

import math
from typing import Any

#: Levels of lists and objects in a value that is stored.
MAX_DEPTH = 32
#: Whole numbers that JSON keeps as such.
_LEAST, _LARGEST = -(2**63), 2**64 - 1
_SHOWN = 60


def is_storable(value: Any) -> bool:
    """Whether a value can be stored as JSON in UTF-8 and comes back the same: no halves of
    characters, no NaN, no number beyond 64 bits, not nested too deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if not _is_text(item):
                    return False
            elif isinstance(item, float):
                if not math.isfinite(item):
                    return False
            elif isinstance(item, int):
                if not _LEAST <= item <= _LARGEST:
                    return False
            elif isinstance(item, dict):
                if not all(isinstance(key, str) and _is_text(key) for key in item):
                    return False
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif item is not None:
                return False
        if not below:
            return True
        level = below
    return False


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """A value in a message: as it is written in Python, cut where it is long."""
    if isinstance(value, int) and not _LEAST <= value <= _LARGEST:
        return "a number of more than 18 digits"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and (len(value) > 8 or not is_storable(value)):
        return f"a list of {len(value):,}"
    text = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
