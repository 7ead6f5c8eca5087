"""Whether annotations lie where they can: what a mistaken convention leads to is named."""

from collections.abc import Sequence
from typing import Any

#: Pixels, and part of the side, by which tools let boxes reach over the edge.
_PIXELS, _PART = 2.0, 0.02


def over_the_edge(annotations: Sequence[dict[str, Any]], width: int, height: int) -> str | None:
    """What to say of boxes that reach farther over the edge of the image than rounding or a
    guess does; None: there are none.

    Args:
        annotations: in the wire form.
        width: of the image in pixels.
        height: of the image in pixels.
    """
    count, farthest, are_corners = 0, 0.0, True
    slack_x, slack_y = max(_PIXELS, _PART * width), max(_PIXELS, _PART * height)
    for annotation in annotations:
        box = annotation.get("bounding_box")
        if not box:
            continue
        x, y, w, h = box["x"], box["y"], box["w"], box["h"]
        over_x, over_y = max(-x, x + w - width), max(-y, y + h - height)
        if over_x > slack_x or over_y > slack_y:
            count += 1
            farthest = max(farthest, over_x, over_y)
            are_corners = are_corners and 0 <= x < w <= width + 1 and 0 <= y < h <= height + 1
    if not count:
        return None
    which = "an annotation reaches" if count == 1 else f"{count:,} annotations reach"
    doubt = "; are width and height those of the far corner?" if are_corners else ""
    return f"{which} over the edge by up to {farthest:.6g} pixels; taken as it stands{doubt}"
