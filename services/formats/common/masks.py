"""Rasters of polygons, as run lengths: pycocotools' raster, combined even-odd."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from services.formats.common.geometry import Ring, bounds, flat
from services.formats.common.ring_nesting import hole_flags, may_overlap


@dataclass(frozen=True, slots=True)
class Crop:
    """A raster of a part of the image, as run lengths along its rows."""

    left: int
    top: int
    width: int
    height: int
    #: Unset and set pixels in turn, unset first; together they cover the part.
    runs: NDArray[np.int64]

    @property
    def area(self) -> int:
        """Pixels that are set."""
        return int(self.runs[1::2].sum())


@dataclass(frozen=True, slots=True)
class Mask:
    """A raster as COCO writes it: run lengths down the columns, compressed to ASCII."""

    width: int
    height: int
    counts: str
    #: Pixels that are set.
    area: int


def even_odd_mask(rings: Sequence[Ring], width: int, height: int) -> Mask:
    """The raster of a polygon: pycocotools' raster of each ring, combined even-odd.

    The rings' run lengths are combined as such (a boundary that occurs twice cancels), so
    that memory follows the outline and never the image's area.
    """
    runs = _even_odd_runs(rings, width, height)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return Mask(width, height, rle["counts"].decode("ascii"), int(runs[1::2].sum()))


def even_odd_crop(rings: Sequence[Ring]) -> Crop:
    """The raster of a polygon on the image, cut to the pixels around it.

    Made of the mirrored polygon, whose columns are this one's rows.
    """
    left, top, w, h = bounds(rings)
    x0, y0 = math.floor(left), math.floor(top)
    width, height = max(1, math.ceil(left + w) - x0), max(1, math.ceil(top + h) - y0)
    mirrored = [[(_snapped(y) - y0, _snapped(x) - x0) for x, y in ring] for ring in rings]
    return Crop(x0, y0, width, height, _even_odd_runs(mirrored, height, width))


def _snapped(coordinate: float) -> float:
    """Where pycocotools puts a coordinate: on the next fifth of a pixel (`rleFrPoly` in
    cocodataset/cocoapi, common/maskApi.c). Moved before that, one half way would go elsewhere."""
    return math.floor(5 * coordinate + 0.5) / 5


def needs_mask(rings: Sequence[Ring], width: int, height: int) -> bool:
    """Whether a polygon on the image has holes, or rings that overlap: then it is not the
    union of its rings."""
    if len(rings) < 2 or not may_overlap(rings):
        return False
    return any(hole_flags(rings)) or not is_union(rings, width, height)


def is_union(rings: Sequence[Ring], width: int, height: int) -> bool:
    """Whether the raster of a polygon is that of the union of its rings."""
    edges = _ring_edges(rings, width, height)
    return int(_even_odd(edges, width * height)[1::2].sum()) == _union(edges, width * height)


def union_area(rings: Sequence[Ring], width: int, height: int) -> int:
    """Pixels that the union of the rings covers, which is how COCO reads a list of rings."""
    if len(rings) == 1:
        return int(coco_mask.area(coco_mask.frPyObjects([flat(rings[0])], height, width)[0]))
    return _union(_ring_edges(rings, width, height), width * height)


def as_rle(mask: Mask) -> dict[str, Any]:
    """A mask as COCO's `segmentation` holds it."""
    return {"size": [mask.height, mask.width], "counts": mask.counts}


def _even_odd_runs(rings: Sequence[Ring], width: int, height: int) -> NDArray[np.int64]:
    """Run lengths down the columns, unset first."""
    return _even_odd(_ring_edges(rings, width, height), width * height)


def _ring_edges(rings: Sequence[Ring], width: int, height: int) -> list[NDArray[np.int64]]:
    """Where the runs of each ring's raster end, those of set pixels at odd places."""
    # One ring at a time: pycocotools walks every pixel of an outline, in 40 bytes each.
    return [
        _edges(coco_mask.frPyObjects([flat(ring)], height, width)[0]["counts"]) for ring in rings
    ]


def _even_odd(edges: Sequence[NDArray[np.int64]], total: int) -> NDArray[np.int64]:
    """Run lengths of the pixels that an odd number of rasters covers, unset first."""
    places, times = np.unique(np.concatenate(edges), return_counts=True)
    places = places[(times % 2 == 1) & (places < total)]
    runs: NDArray[np.int64] = np.diff(places, prepend=0, append=total)
    return runs


def _union(edges: Sequence[NDArray[np.int64]], total: int) -> int:
    """Pixels that one raster covers at least."""
    starts = np.concatenate([places[0::2] for places in edges])
    ends = np.concatenate([places[1::2] for places in edges])
    starts = starts[starts < total]
    places = np.concatenate([starts, ends])
    order = np.argsort(places, kind="stable")
    places = places[order]
    covering = np.cumsum(np.where(order < len(starts), 1, -1))
    return int(np.diff(places)[covering[:-1] > 0].sum()) if len(places) else 0


def _edges(counts: bytes) -> NDArray[np.int64]:
    """Where runs end, from COCO's compressed counts.

    Each run is written in groups of 5 bits, lowest first, bit 5 set while more follow, the
    top bit of the last as sign; from the fourth on as the difference to the run two before
    (`rleToString` in cocodataset/cocoapi, common/maskApi.c).
    """
    bits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((bits & 0x20) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    shifts = 5 * (np.arange(len(bits)) - np.repeat(starts, lengths))
    runs: NDArray[np.int64] = np.add.reduceat((bits & 0x1F) << shifts, starts)
    runs -= np.where(bits[ends] & 0x10, 1 << 5 * lengths, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return np.cumsum(runs)
