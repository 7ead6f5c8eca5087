"""Class lists of source formats: names that may be, and colours where there are none."""

import colorsys
from collections.abc import Sequence

from services.catalog.annotations import MAX_NAME
from services.catalog.model import MAX_CLASSES
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportFailed
from services.texts import control_error

# The golden angle: neighbours in the list get colours far apart.
_HUE_STEP = 0.618034


def checked_names(names: Sequence[str], where: str) -> list[str]:
    """The names of a class list.

    Raises:
        ImportFailed: they are too many, or one is blank, too long, no text that can be stored, or
            there twice.
    """
    if len(names) > MAX_CLASSES:
        raise ImportFailed(
            f"{where} names {len(names):,} classes; at most {MAX_CLASSES:,} are allowed. "
            "Check that it is the list of classes."
        )
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not is_class_name(name):
            raise ImportFailed(
                f"{where}: class {index} needs a name of 1 to {MAX_NAME} characters, "
                f"not {shown(name)}."
            )
        if name in seen:
            raise ImportFailed(
                f"{where}: class name {name!r} is there twice; give each class a name of its own."
            )
        seen.add(name)
    return list(names)


def is_class_name(name: str) -> bool:
    """Whether a class can have this name."""
    return (
        bool(name.strip())
        and len(name) <= MAX_NAME
        and control_error(name) is None
        and is_storable(name)
    )


def class_color(index: int) -> str:
    """A colour for a class, by its place in the list."""
    red, green, blue = colorsys.hsv_to_rgb(index * _HUE_STEP % 1, 0.75, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
