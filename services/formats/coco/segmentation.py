"""Outlines of COCO annotations: lists of rings, and masks as run lengths."""

from collections.abc import Callable
from typing import Any, Protocol

from services.formats.coco.values import identifier, is_empty, kind, numbers
from services.formats.common.geometry import Point, bounds
from services.formats.common.rings import MaskError, decode_runs, outline, overlap, union_outline


class Name(Protocol):
    """Takes what was left out or repaired."""

    def __call__(self, reason: str, message: str, is_loss: bool = True) -> None:
        """Args:
        reason: UPPER_SNAKE word.
        message: what is wrong, and what became of it.
        is_loss: whether the annotation lacks something now.
        """


def rings_of(
    segmentation: Any, size: Callable[[], tuple[int, int] | None], name: Name
) -> list[list[Point]]:
    """The outline, even-odd; empty where there is none.

    Args:
        segmentation: what the row has under that name.
        size: gives the width and height of the image; None: nothing says it.
        name: told what was left out or repaired.
    """
    if not segmentation:
        return []
    try:
        if isinstance(segmentation, dict):
            return _mask_rings(segmentation, size(), name)
    except MaskError as error:
        name("MASK_UNREADABLE", f"{error}; the mask was left out")
        return []
    if isinstance(segmentation, list):
        return _plain_rings(segmentation, name)
    name("RING_UNREADABLE", f"segmentation is {kind(segmentation)}, and must be a list; left out")
    return []


def _mask_rings(
    segmentation: dict[str, Any], known: tuple[int, int] | None, name: Name
) -> list[list[Point]]:
    given, counts = segmentation.get("size"), segmentation.get("counts")
    size = [identifier(side) for side in given] if isinstance(given, list) else []
    if len(size) != 2 or not isinstance(counts, list | str):
        raise MaskError("a mask needs a size [height, width] and counts")
    height, width = size
    if not isinstance(height, int) or not isinstance(width, int):
        raise MaskError(f"its size must be two whole numbers, and is {given!r:.60}")
    if known is not None and (width, height) != known:
        raise MaskError(f"its size is {width} by {height}, the image's {known[0]} by {known[1]}")
    if isinstance(counts, list):
        runs = [identifier(run) for run in counts]
        counts = [run for run in runs if isinstance(run, int)]
        if len(counts) != len(runs):
            raise MaskError("its counts must be whole numbers")
    rings = outline(decode_runs(height, width, counts))
    if not rings:
        name("MASK_EMPTY", "no pixel is set; the mask was left out", False)
    return rings


def _plain_rings(segmentation: list[Any], name: Name) -> list[list[Point]]:
    # One ring without the list around it.
    flat = _flat(segmentation)
    parts = [segmentation] if flat and len(flat) >= 6 else segmentation
    rings: list[list[Point]] = []
    for index, part in enumerate(parts):
        ring = _ring(part)
        if isinstance(ring, str):
            # Of nothing, nothing is lost: tools write [[]] where there is a box alone.
            is_loss = not is_empty(part)
            name("RING_UNREADABLE", f"ring {index} {ring}; the ring was left out", is_loss)
        else:
            rings.append(ring)
    if len(rings) > 1 and overlap(rings):
        try:
            union = union_outline(rings)
        except MaskError as error:
            name("RINGS_UNREADABLE", f"they overlap, and {error}; they were left out")
            return []
        if union:
            name(
                "RINGS_OVERLAP",
                "COCO means the union of rings that overlap; "
                "its outline along the edges of pixels was taken",
                False,
            )
            return union
    return rings


def _flat(part: Any) -> list[float] | None:
    """x and y in turn, also where each point is a list of its own, or one more lies around them."""
    if isinstance(part, list) and len(part) == 1 and isinstance(part[0], list):
        (part,) = part
    if isinstance(part, list) and part and all(_is_pair(point) for point in part):
        part = [value for point in part for value in point]
    return numbers(part)


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and numbers(point) is not None


def _ring(part: Any) -> list[Point] | str:
    """A ring, or why it is none."""
    flat = _flat(part)
    if flat is None:
        what = "a list with something else" if isinstance(part, list) else kind(part)
        return f"is {what}, and must be a list of finite numbers x, y in turn"
    if len(flat) < 6 or len(flat) % 2:
        return f"has {len(flat)} numbers, and must have x, y of at least 3 points"
    ring = list(zip(flat[::2], flat[1::2], strict=True))
    if len(set(ring)) < 3:
        return f"has {len(set(ring))} different points, and must have at least 3"
    if min(bounds([ring])[2:]) <= 0:
        return "is a line without area"
    return ring
