"""What the geometry of one annotation may be at most."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.catalog.annotations import normalise
from services.catalog.limits import (
    MAX_DOCUMENT,
    MAX_OUTLINE,
    MAX_POINTS,
    MAX_RINGS,
    MAX_RUNS,
    MAX_SIDE,
    excess,
)
from services.errors import Invalid
from tests.unit.importing.dataset_files import shared

Paths = list[list[dict[str, float]]]


def ring(*points: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in points]


def polygon(paths: Paths) -> dict[str, Any]:
    return {"name": "car", "type": "polygon", "polygon": {"paths": paths}}


TRIANGLE = ring((0, 0), (1, 0), (0, 1))
LONG = MAX_OUTLINE / 2


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (polygon([TRIANGLE] * MAX_RINGS), ""),
        (polygon([TRIANGLE] * (MAX_RINGS + 1)), f"{MAX_RINGS + 1:,} rings"),
        (polygon([ring(*[(k % 2, k % 3) for k in range(MAX_POINTS)])]), ""),
        (polygon([ring(*[(k % 2, k % 3) for k in range(MAX_POINTS + 1)])]), "150,001 points"),
        (polygon([ring((0, 0), (LONG, 0), (0, 0))]), ""),
        (polygon([ring((0, 0), (LONG + 1, 0), (0, 0))]), "262,146 pixels long"),
        # Beyond the largest picture nothing is followed.
        (polygon([ring((2e6, -5), (1e12, -1e12), (1e12, -7))]), ""),
        (
            {"name": "lane", "type": "polyline", "polyline": {"path": TRIANGLE * 60_000}},
            "180,000 points",
        ),
    ],
)
def test_the_server_refuses_by_the_table(annotation: dict[str, Any], says: str) -> None:
    box = {"name": "car", "type": "bbox", "bounding_box": {"x": 0, "y": 0, "w": 1, "h": 1}}
    raw = orjson.dumps([box, annotation])
    problem = excess(annotation)
    if not says:
        assert problem is None
        assert normalise(raw).count == 2
        return
    assert problem is not None
    assert says in problem
    with pytest.raises(Invalid, match="simplify it or part it") as refused:
        normalise(raw)
    assert set(refused.value.fields) == {"annotations[1]"}


def test_the_server_refuses_too_much_before_it_parses_it() -> None:
    # It need not even be JSON.
    with pytest.raises(Invalid, match="at most 3,145,728; simplify them") as refused:
        normalise(b"[" * (MAX_DOCUMENT + 1))
    assert set(refused.value.fields) == {"annotations"}
    with pytest.raises(Invalid, match="is not JSON"):
        normalise(b"[" * MAX_DOCUMENT)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "polygon"},
        {"type": "polygon", "polygon": {"paths": [[{"x": "a", "y": None}] * 3]}},
        {"type": "polygon", "polygon": {"paths": [[]]}},
        {"type": "polyline", "polyline": 7},
    ],
)
def test_what_is_no_geometry_is_left_to_others(value: dict[str, Any]) -> None:
    assert excess(value) is None


def test_the_readme_has_the_same_table() -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text()
    numbers = re.findall(r"^\| [^|]*\| ([\d,]+) \|$", text, re.MULTILINE)
    limits = (MAX_RINGS, MAX_POINTS, MAX_OUTLINE, MAX_RUNS, MAX_SIDE, MAX_DOCUMENT)
    assert numbers == [f"{limit:,}" for limit in limits]


def test_nothing_real_is_refused() -> None:
    rows = orjson.loads((shared("coco_cc") / "polygons_with_holes.json").read_bytes())
    outlines = [
        polygon([ring(*points) for part in row["polygons"] for points in _rings(part)])
        for row in rows
    ]
    assert len(outlines) == 369
    assert [excess(outline) for outline in outlines] == [None] * 369
    # And by far.
    assert max(sum(map(len, outline["polygon"]["paths"])) for outline in outlines) * 20 < MAX_POINTS


def _rings(part: dict[str, Any]) -> list[list[tuple[float, float]]]:
    return [part["exterior"], *part["holes"]]
