"""Class lists of source formats: names that may be, and colours where there are none."""

import colorsys
from collections.abc import Sequence

from services.catalog.annotations import MAX_NAME
from services.formats.common.source import ImportFailed

# The golden angle: neighbours in the list get colours far apart.
_HUE_STEP = 0.618034


def checked_names(names: Sequence[str], where: str) -> list[str]:
    """The names of a class list.

    Raises:
        ImportFailed: a name is blank, too long or there twice.
    """
    for index, name in enumerate(names):
        if not name.strip() or len(name) > MAX_NAME:
            raise ImportFailed(
                f"{where}: class {index} needs a name of 1 to {MAX_NAME} characters, not {name!r}."
            )
        if name in names[:index]:
            raise ImportFailed(
                f"{where}: class name {name!r} is there twice; give each class a name of its own."
            )
    return list(names)


def class_color(index: int) -> str:
    """A colour for a class, by its place in the list."""
    red, green, blue = colorsys.hsv_to_rgb(index * _HUE_STEP % 1, 0.75, 0.9)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
