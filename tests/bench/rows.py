"""A row of what `make bench` prints: what was measured, the figure, and the goal that it is held
against."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement.

    `met` says whether the goal is reached, None where the row has none: it stands beside others to
    be compared with.
    """

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None


def table(rows: list[Row]) -> list[str]:
    """The rows as a table in Markdown."""
    answers = {True: "yes", False: "**no**", None: ""}
    return [
        "| what | figure | goal | reached |",
        "|---|---|---|---|",
        *(
            f"| {_cell(row.what)} | {_cell(row.figure)} | {_cell(row.goal)} | {answers[row.met]} |"
            for row in rows
        ),
    ]


def _cell(words: str) -> str:
    return words.replace("|", r"\|")


def main(name: str, about: str | None, rows: Callable[[bool], list[Row]]) -> None:
    """Runs one topic alone: `python -m tests.bench.TOPIC [--quick]`."""
    arguments = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}", description=about)
    arguments.add_argument("--quick", action="store_true", help="less of everything, in seconds")
    for line in table(rows(arguments.parse_args().quick)):
        print(line, flush=True)
