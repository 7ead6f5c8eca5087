"""The page of figures: what `make bench` writes into it, and what it leaves alone."""

from datetime import date

import pytest

from tests.bench.report import PAGE, page
from tests.bench.rows import Row


def test_figures_go_between_the_marks_and_words_stay() -> None:
    rows = [Row("a", "1.1 x", "at most 1.2 x", met=True), Row("b | c", "3", "2", met=False)]
    before = PAGE.read_text()
    once = page(before, rows, date(2026, 11, 29), "a machine")
    assert "1 of 2 goals are reached." in once
    assert r"| b \| c | 3 | 2 | **no** |" in once
    assert page(once, rows, date(2026, 11, 29), "a machine") == once
    assert before.split("<!-- figures -->")[0] in once
    assert before.split("<!-- end of figures -->")[1] in once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="figures"):
        page("nothing", [], date(2026, 11, 29), "a machine")
