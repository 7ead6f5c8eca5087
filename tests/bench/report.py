"""docs/performance.md: the figures between two marks are written by `make bench`, the words around
them by hand."""

import re
from datetime import date
from pathlib import Path

from tests.bench.peers import Series, plot
from tests.bench.rows import Row, table

_DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = _DOCS / "performance.md"
_PLOTS = _DOCS / "images" / "performance"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def write(rows: list[Row], series: list[Series], day: date, machine: str) -> None:
    """Puts figures and plots into the page."""
    plot(series, _PLOTS)
    PAGE.write_text(page(PAGE.read_text(), rows, day, machine))


def page(before: str, rows: list[Row], day: date, machine: str) -> str:
    """The page with other figures.

    Raises:
        ValueError: the marks are missing.
    """
    pattern = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{PAGE.name} has no {_BEGIN} … {_END}")
    goals = [row for row in rows if row.met is not None]
    reached = sum(1 for row in goals if row.met)
    figures = "\n".join(
        (
            _BEGIN,
            f"Measured on {day.isoformat()} by `make bench`: {machine}.",
            "",
            f"{reached} of {len(goals)} goals are reached.",
            "",
            *table(rows),
            _END,
        )
    )
    return pattern.sub(lambda _: figures, before)
