"""`cartouche import` as tests run it, and what it says."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.stack import Stack


@dataclass(frozen=True)
class Outcome:
    """How an import ended."""

    code: int
    #: The table at the end: its rows by their first cell.
    summary: dict[str, int]
    #: The lines above the table: all that was skipped or repaired.
    named: list[str]
    #: The lines on standard error.
    errors: list[str]

    @property
    def reasons(self) -> Counter[str]:
        """The named items by reason."""
        return Counter(line.split(" ", 1)[0] for line in self.named)

    @property
    def results(self) -> dict[str, int]:
        """How many images are in: created, updated, …; only numbers above 0."""
        words = {row: row.removeprefix("images ") for row in self.summary if row[:7] == "images "}
        del words["images passed over"]
        return {word: self.summary[row] for row, word in words.items() if self.summary[row]}

    @property
    def passed_over(self) -> tuple[int, int]:
        """How many images and annotations are not in."""
        return self.summary["images passed over"], self.summary["annotations passed over"]


def words(
    dataset: str, format: str, images: Path, annotations: Path, *options: str | Path
) -> list[str]:
    """The words of the command after `cartouche`."""
    given = {"dataset": dataset, "format": format, "images": images, "annotations": annotations}
    pairs = [(f"--{option}", str(value)) for option, value in given.items()]
    return ["import", *(word for pair in pairs for word in pair), *map(str, options)]


def run_import(
    stack: Stack,
    dataset: str,
    format: str,
    images: Path,
    annotations: Path,
    *options: str | Path,
    role: str = "member",
) -> Outcome:
    """Runs the command to its end, well or badly."""
    done = stack.command(
        *words(dataset, format, images, annotations, *options), role=role, check=False
    )
    return outcome(done.returncode, done.stdout, done.stderr)


def imported(
    stack: Stack,
    dataset: str,
    format: str,
    images: Path,
    annotations: Path,
    *options: str | Path,
) -> Outcome:
    """Runs the command, which must succeed without an error message, and say with its code
    whether everything is in."""
    found = run_import(stack, dataset, format, images, annotations, *options)
    assert (found.code, found.errors) == (3 if any(found.passed_over) else 0, []), found
    assert Counter(found.summary) & found.reasons == found.reasons, "the table counts what is named"
    return found


def outcome(code: int, output: str, errors: str) -> Outcome:
    """Reads what the command printed."""
    named: list[str] = []
    summary: dict[str, int] = {}
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split("│")]
        if len(cells) == 4:
            summary[cells[1]] = int(cells[2].replace(",", ""))
        elif line.split(" ", 1)[0].isupper():
            named.append(line)
    return Outcome(code, summary, named, errors.splitlines())
