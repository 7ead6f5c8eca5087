"""Polygons as one ring, and names without folders."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.formats.common.flat_names import flat_name, report_flat_name
from services.formats.common.geometry import Ring, ring_area
from services.formats.common.loss_report import LossReport
from services.formats.common.ring_nesting import bridge
from tests.unit.formats.archives import image
from tests.unit.formats.test_geometry import covers, square

_POINT = st.tuples(st.integers(0, 20), st.integers(0, 20))
_RINGS = st.lists(st.lists(_POINT, min_size=3, max_size=8), min_size=1, max_size=4)


@given(_RINGS, st.lists(_POINT, max_size=20))
def test_a_bridge_covers_what_its_rings_cover(
    rings: list[Ring], points: list[tuple[float, float]]
) -> None:
    joined = bridge(rings)
    for x, y in points:
        # Off the grid of the corners.
        x, y = x + 0.31, y + 0.47
        assert covers(joined, x, y) == (sum(covers(ring, x, y) for ring in rings) % 2 == 1)


def test_holes_run_the_other_way() -> None:
    joined = bridge([square(2, 2, 2), square(0, 0, 10), square(20, 0, 10)])
    assert ring_area(joined) == 100 - 4 + 100
    assert len(joined) == 12 + 4


def test_seams_are_short() -> None:
    steps = np.linalg.norm(np.diff(bridge([square(0, 0, 10), square(11, 0, 10)]), axis=0), axis=1)
    assert sorted(steps)[:2] == [1, 1]
    assert max(steps) == 10


def test_folders_become_a_part_of_the_name() -> None:
    losses = LossReport()
    found = []
    for number, name in ((1, "a.jpg"), (2, "x/a.jpg"), (3, "x/y/a.jpg"), (4, "x/a~4.jpg")):
        one = image(number=number, path=name, name=name)
        report_flat_name(one, losses)
        found.append(flat_name(one))
    assert found == ["a.jpg", "x_a~2.jpg", "x_y_a~3.jpg", "x_a~4.jpg"]
    assert losses.total("renamed") == 3


def test_long_names_are_cut() -> None:
    name = flat_name(image(number=77, name=f"{'é' * 90}/{'b' * 190}.jpeg"))
    assert len(name.encode()) <= 200
    assert name.endswith("b~77.jpeg")
