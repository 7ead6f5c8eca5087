"""Shapes of every kind as a reader gives them back, compared with their source.

A reader's row has a class, a kind and what that kind needs: `box` (left, top, width, height),
`turned` (centre, sides, degrees), `ring` (rings), `line` and `points` (points, and flags where
there are any), `mask` (pixels and the place of the first).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.formats.common.export import ExportInfo
from tests.oracles.areas import Area, areas, corners
from tests.oracles.model import (
    OracleMismatch,
    OracleResult,
    SourceImage,
    archive_paths,
    require,
)
from tests.oracles.poses import poses

#: Pixels by which a raster may differ from an outline.
MASK_PX = 1.5

_SPLIT_FOLDERS = {"train": "train/", "val": "valid/", "test": "test/"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Style:
    """What becomes of each kind of annotation in a format, as a reader shows it."""

    #: Pixels of the reader's own rounding.
    tolerance: float
    #: A rotated box: `turned`, `ring` or `box`.
    turned: str = "ring"
    #: A polygon: `ring` (a mask too where it has several rings) or `box`.
    polygons: str = "ring"
    lines: bool = True
    #: An object of several joints: `pose` (every joint of the skeleton), `placed` (those that it
    #: has), `loose` (a row for each joint of the skeleton), `joints` (a row for each that it
    #: has, under its own name), `box`, or `` where it is dropped.
    poses: str = "pose"
    #: A keypoint by itself: `points`, `box`, or `` where it is dropped.
    points: str = "points"


@dataclass(frozen=True)
class Wanted:
    """A row that the reader must have, and how far one is from it, in pixels."""

    class_name: str
    kinds: tuple[str, ...]
    error: Callable[[Row], float]


def compare(
    folder: Path,
    source: Sequence[SourceImage],
    info: ExportInfo,
    images: Sequence[Mapping[str, Any]],
    style: Style,
) -> OracleResult:
    """Finds each annotation of the source among the rows of its image, and nothing more.

    Raises:
        OracleMismatch: an image or an annotation is missing, too much, or somewhere else.
    """
    places = archive_paths(folder)
    found = {image["path"]: image for image in images}
    require(len(images) == len(found), "an image was read twice")
    require(len(found) == len(source), f"{len(found)} images, not {len(source)}")
    count, largest = 0, 0.0
    for image in source:
        place = places[image.path]
        require(place in found, f"{place} was not read")
        if info.organize_by_split:
            start = _SPLIT_FOLDERS[image.split or "train"]
            require(place.startswith(start), f"{place} is not of the split {image.split}")
        size = found[place]["size"]
        require(size == [image.width, image.height], f"{place} has {size} pixels")
        rows = _joined(found[place]["rows"])
        expected = list(wanted(image, info, style))
        require(
            len(rows) == len(expected),
            f"{place}: {len(rows)} annotations, not {len(expected)}",
        )
        for one in expected:
            error, position = _nearest(one, rows)
            tolerance = MASK_PX if rows and rows[position]["kind"] == "mask" else style.tolerance
            require(
                error <= tolerance,
                f"{place}: {one.class_name} as {' or '.join(one.kinds)} is {error} px off",
            )
            del rows[position]
            largest = max(largest, error)
            count += 1
    return OracleResult(len(source), count, largest)


def wanted(image: SourceImage, info: ExportInfo, style: Style) -> Iterator[Wanted]:
    """The rows that a reader must have of an image."""
    names = {c.name for c in info.selected_classes}
    for annotation in image.annotations:
        for area in areas(replace(image, annotations=[annotation]), info):
            turned = (annotation.get("oriented_box") or {}).get("angle")
            kind = "box" if area.is_box and not turned else style.polygons
            kind = style.turned if turned else kind
            yield _of_area(area, kind)
        if annotation["type"] == "polyline" and style.lines and annotation["name"] in names:
            path = [(point["x"], point["y"]) for point in annotation["polyline"]["path"]]
            yield Wanted(annotation["name"], ("line",), _error_of_points(image, path))
    yield from _of_keypoints(image, info, style, names)


def _of_area(area: Area, kind: str) -> Wanted:
    if kind == "turned":
        return Wanted(
            area.class_name,
            ("turned",),
            lambda row: float(np.abs(corners(*row["turned"]) - area.rings[0]).max()),
        )
    if kind == "ring":
        kinds = ("ring",) if len(area.rings) == 1 else ("ring", "mask")
        return Wanted(area.class_name, kinds, lambda row: _error_of_rings(area, row))
    # The box around a shape that is cut is not the cut box around it.
    exact = area.is_inside or area.is_box
    return Wanted(
        area.class_name, ("box",), lambda row: area.error_of_box(row["box"]) if exact else 0.0
    )


def _error_of_rings(area: Area, row: Row) -> float:
    if row["kind"] == "mask":
        return _error_of_mask(area, row)
    rings = row["rings"]
    if len(area.rings) == 1:
        require(len(rings) == 1, f"{len(rings)} rings")
        return area.error_of_ring(rings[0])
    require(len(rings) == len(area.rings), f"{len(rings)} rings, not {len(area.rings)}")
    parts = [replace(area, rings=[ring]) for ring in area.rings]
    return max(part.error_of_ring(ring) for part, ring in zip(parts, rings, strict=True))


def _error_of_mask(area: Area, row: Row) -> float:
    """The largest distance of a pixel that differs to the outline."""
    pixels = np.asarray(row["pixels"], dtype=bool)
    whole = np.zeros((area.height, area.width), dtype=bool)
    top, left = row["top"], row["left"]
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    expected = np.zeros_like(whole)
    centres = np.arange(area.width) + 0.5
    tops, bottoms = zip(*((ring[:, 1].min(), ring[:, 1].max()) for ring in area.rings), strict=True)
    for line in range(int(max(0, min(tops))), int(min(area.height, max(bottoms) + 1))):
        crossings = np.sort(np.concatenate([_crossings(ring, line + 0.5) for ring in area.rings]))
        expected[line] = np.searchsorted(crossings, centres) % 2 == 1
    ys, xs = np.nonzero(whole != expected)
    if not len(xs):
        return 0.0
    points = np.column_stack([xs, ys]).astype(np.float64) + 0.5
    return float(np.min([_distances(points, ring) for ring in area.rings], axis=0).max())


def _crossings(ring: NDArray[np.float64], y: float) -> NDArray[np.float64]:
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    hit = (y0 > y) != (y1 > y)
    found: NDArray[np.float64] = x0[hit] + (y - y0[hit]) / (y1[hit] - y0[hit]) * (x1 - x0)[hit]
    return found


def _distances(points: NDArray[np.float64], ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each point is from the nearest side of a ring."""
    nearest = np.full(len(points), inf)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        side = end - start
        length = float(side @ side) or 1.0
        along = np.clip((points - start) @ side / length, 0, 1)[:, None]
        away = np.linalg.norm(points - (start + along * side), axis=1)
        nearest = np.minimum(nearest, away)
    return nearest


def _of_keypoints(
    image: SourceImage, info: ExportInfo, style: Style, names: set[str]
) -> Iterator[Wanted]:
    joints = {n.name for c in info.classes if c.skeleton for n in c.skeleton.nodes}
    taken = {n.name for c in info.selected_classes if c.skeleton for n in c.skeleton.nodes}
    for annotation in image.annotations:
        if annotation["type"] != "keypoint":
            continue
        name, point = annotation["name"], annotation["keypoint"]
        if name in joints and style.poses != "joints":
            continue
        kind = "points" if name in joints else style.points
        if kind and name in names | taken:
            place = [(point["x"], point["y"])]
            yield Wanted(name, (kind,), _error_of_points(image, place))
    if style.poses in ("", "joints"):
        return
    for name, triplets in poses(image, info):
        template = next(c.skeleton for c in info.classes if c.name == name)
        assert template is not None
        yield from _of_pose(image, style, name, [n.name for n in template.nodes], triplets)


def _of_pose(
    image: SourceImage,
    style: Style,
    name: str,
    nodes: Sequence[str],
    triplets: Sequence[tuple[float, float, float]],
) -> Iterator[Wanted]:
    if style.poses == "loose":
        for node, (x, y, _) in zip(nodes, triplets, strict=True):
            yield Wanted(node, ("points",), _error_of_points(image, [(x, y)]))
        return
    kept = [triplet for triplet in triplets if triplet[2] or style.poses == "pose"]
    points, flags = [(x, y) for x, y, _ in kept], [flag for _, _, flag in kept]
    if style.poses == "box":
        placed = _clipped(image, [(x, y) for x, y, flag in triplets if flag])
        yield Wanted(name, ("box",), lambda row: _error_around(row["box"], placed))
        return
    error = _error_of_points(image, points)

    def with_flags(row: Row) -> float:
        require(row["flags"] == flags, f"visibilities {row['flags']}")
        return error(row)

    yield Wanted(name, ("points",), with_flags)


def _error_around(box: Sequence[float], points: NDArray[np.float64]) -> float:
    """How far a box, which has an extent, does not reach around points."""
    left, top, w, h = box
    require(w > 0 and h > 0, "a box without an extent")
    low, high = points.min(axis=0), points.max(axis=0)
    return float(max(0, left - low[0], top - low[1], high[0] - left - w, high[1] - top - h))


def _error_of_points(
    image: SourceImage, points: Sequence[tuple[float, float]]
) -> Callable[[Row], float]:
    expected = _clipped(image, points)

    def error(row: Row) -> float:
        if row["kind"] == "box":
            return _error_around(row["box"], expected)
        seen = np.asarray(row["points"], dtype=np.float64)
        require(seen.shape == expected.shape, f"{len(seen)} points, not {len(expected)}")
        return float(np.abs(seen - expected).max())

    return error


def _clipped(image: SourceImage, points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.clip(np.array(points, dtype=np.float64), 0, (image.width, image.height))


def _joined(rows: Sequence[Row]) -> list[Row]:
    """Rows of rings that share a class and a group are one polygon."""
    kept: list[Row] = []
    groups: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = row["class"], row.get("group", 0)
        if row["kind"] == "ring" and key[1] and key in groups:
            groups[key]["rings"] = [*groups[key]["rings"], *row["rings"]]
            continue
        kept.append(dict(row))
        if row["kind"] == "ring" and key[1]:
            groups[key] = kept[-1]
    return kept


def _nearest(one: Wanted, rows: Sequence[Row]) -> tuple[float, int]:
    """The smallest error of a row of the same class and kind, and its position."""
    best, position, reason = inf, -1, "there is none"
    for index, row in enumerate(rows):
        if row["class"] != one.class_name or row["kind"] not in one.kinds:
            continue
        try:
            error = one.error(row)
        except OracleMismatch as mismatch:
            reason = str(mismatch)
            continue
        if error < best:
            best, position = error, index
    require(position >= 0, f"{one.class_name} as {' or '.join(one.kinds)}: {reason}")
    return best, position
