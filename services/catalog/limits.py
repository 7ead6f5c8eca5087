"""What an annotation, and all annotations of one image, may be at most: one table for the import,
the server and README.md.

The limits keep every format's work on an annotation to about a second and 20 MB beside what it
takes to parse it, and lie far above what real datasets have (COCO, LVIS, aerial images): the
longest outline goes 26 times around a picture of 2,500 by 2,500.
"""

from collections.abc import Iterable, Sequence
from math import hypot
from typing import Any

#: Bytes of all annotations of one image, as JSON. Whatever reads a document needs a multiple of
#: its bytes, of which importers, servers and workers keep account.
MAX_DOCUMENT = 3 * 2**20
#: Points, of all rings of a polygon or of a polyline.
MAX_POINTS = 150_000
#: Rings of a polygon.
MAX_RINGS = 10_000
#: Pixels along all sides of a polygon, on the largest picture that is taken.
MAX_OUTLINE = 2**18
#: Runs of a mask in run lengths.
MAX_RUNS = 2**20
#: Pixels of the longest side of a picture, or of a mask.
MAX_SIDE = 2**20


def document_excess(size: int) -> str | None:
    """What is too much about a document of annotations of so many bytes; None: nothing."""
    if size <= MAX_DOCUMENT:
        return None
    return (
        f"the annotations of the image take {size:,} bytes; those of an image have at most "
        f"{MAX_DOCUMENT:,}"
    )


def excess(annotation: dict[str, Any]) -> str | None:
    """What is too much about an annotation in the wire form; None: it is within the limits.

    It need not be checked yet: of what is no geometry others say what is wrong.
    """
    try:
        match annotation["type"]:
            case "polygon":
                return _excess(annotation["polygon"]["paths"])
            case "polyline":
                return _excess([annotation["polyline"]["path"]], is_closed=False)
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    return None


def _excess(paths: Sequence[Sequence[dict[str, float]]], is_closed: bool = True) -> str | None:
    if len(paths) > MAX_RINGS:
        return f"it has {len(paths):,} rings; a polygon has at most {MAX_RINGS:,}"
    points = sum(map(len, paths))
    if points > MAX_POINTS:
        return f"it has {points:,} points; an annotation has at most {MAX_POINTS:,}"
    # Few points that lie close need no sum: nearly every outline.
    if is_closed and points * _longest_side(paths) > MAX_OUTLINE:
        length = sum(map(_length, paths))
        if length > MAX_OUTLINE:
            return (
                f"its outline is {length:,.0f} pixels long; that of a polygon has at most "
                f"{MAX_OUTLINE:,}"
            )
    return None


def _longest_side(paths: Iterable[Iterable[dict[str, float]]]) -> float:
    """What no side is longer than, on the largest picture."""
    xs = [_on_picture(point["x"]) for path in paths for point in path]
    ys = [_on_picture(point["y"]) for path in paths for point in path]
    return max(xs) - min(xs) + max(ys) - min(ys)


def _length(path: Sequence[dict[str, float]]) -> float:
    ring = [(_on_picture(point["x"]), _on_picture(point["y"])) for point in path]
    return sum(hypot(x - ring[i - 1][0], y - ring[i - 1][1]) for i, (x, y) in enumerate(ring))


def _on_picture(value: float) -> float:
    # What lies beyond the picture is cut off before anybody follows the outline.
    return min(max(0.0, value), float(MAX_SIDE))
