"""The page of figures: what `make bench` writes into it, and what it leaves alone."""

import pytest

from tests.bench.report import PAGE, Figures, page

FIGURES: Figures = {
    "building": {
        "day": "2026-11-29",
        "machine": "a machine",
        "rows": [
            {"what": "a", "figure": "1.1 x", "goal": "at most 1.2 x", "met": True},
            {"what": "b | c", "figure": "3", "goal": "2", "met": False},
            {"what": "d", "figure": "4", "goal": "", "met": None},
        ],
    }
}


def test_figures_go_between_the_marks_and_words_stay() -> None:
    before = PAGE.read_text()
    once = page(before, FIGURES)
    assert "1 of 2 goals are reached." in once
    assert r"| b \| c | 3 | 2 | **no** |" in once
    assert page(once, FIGURES) == once
    assert before.split("<!-- figures -->")[0] in once
    assert before.split("<!-- end of figures -->")[1] in once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="figures"):
        page("nothing", FIGURES)
