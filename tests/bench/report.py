"""docs/performance.md: the figures between two marks are written by `make bench`, the words around
them by hand. docs/performance.json keeps the figures of each topic, so that one can be measured
again without the others."""

import re
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from tests.bench.peers import Series, plot
from tests.bench.rows import Row, table

_DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = _DOCS / "performance.md"
_KEPT = _DOCS / "performance.json"
_PLOTS = _DOCS / "images" / "performance"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"

#: By topic: day, machine and rows.
Figures = dict[str, dict[str, Any]]


def write(topic: str, rows: list[Row], day: date, machine: str) -> None:
    """Puts the figures of a topic into the page, in place of those from before."""
    kept: Figures = orjson.loads(_KEPT.read_bytes()) if _KEPT.exists() else {}
    kept[topic] = {
        "day": day.isoformat(),
        "machine": machine,
        "rows": [asdict(row) for row in rows],
    }
    _KEPT.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2) + b"\n")
    PAGE.write_text(page(PAGE.read_text(), kept))


def draw_plots(series: list[Series]) -> None:
    """Draws the plots of the page."""
    plot(series, _PLOTS)


def page(before: str, figures: Figures) -> str:
    """The page with other figures.

    Raises:
        ValueError: the marks are missing.
    """
    pattern = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{PAGE.name} has no {_BEGIN} … {_END}")
    rows = [Row(**row) for topic in figures.values() for row in topic["rows"]]
    goals = [row for row in rows if row.met is not None]
    machines = sorted({topic["machine"] for topic in figures.values()})
    days = sorted({topic["day"] for topic in figures.values()})
    lines = [
        _BEGIN,
        f"Measured from {days[0]} to {days[-1]}: {'; '.join(machines)}. "
        f"{sum(1 for row in goals if row.met)} of {len(goals)} goals are reached.",
    ]
    for topic, found in figures.items():
        lines += [
            "",
            f"### {topic.capitalize()}",
            "",
            f"`python -m tests.bench {topic}`, {found['day']}",
            "",
            *table([Row(**row) for row in found["rows"]]),
        ]
    figures_text = "\n".join((*lines, _END))
    return pattern.sub(lambda _: figures_text, before)
