"""The table of clients and calls: what each client could do, and what failed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from rich.table import Table as RichTable

#: Calls across, in the order of the table.
CALLS = (
    "create",
    "create + wait",
    "list",
    "pages",
    "get",
    "by id",
    "wait",
    "download",
    "delete",
    "bulk delete",
    "errors",
    "odd names",
    "other",
)
_OK = "✓"
_ABSENT = "-"
#: Characters of a failure that a cell shows; the whole text stands below the table.
_SHOWN = 60


class Row:
    """One client: a cell for each of its calls."""

    def __init__(self, client: str, calls: tuple[str, ...]) -> None:
        unknown = set(calls) - set(CALLS)
        assert not unknown, f"calls without a column: {unknown}"
        self.client = client
        self.calls = calls
        #: Why the client did not run; empty: it did.
        self.not_run = ""
        self._passed: set[str] = set()
        self._notes: dict[str, str] = {}
        self._failures: dict[str, str] = {}

    @contextmanager
    def cell(self, call: str, note: str = "") -> Iterator[None]:
        """The checks of one call; what they raise becomes the cell's failure, and the checks
        of other calls go on. A cell may be entered again: it passes if all its checks do."""
        assert call in self.calls, f"{self.client} has no cell for {call}"
        try:
            yield
        except Exception as error:
            self._failures.setdefault(call, f"{type(error).__name__}: {error}")
        else:
            self._passed.add(call)
            if note:
                self._notes[call] = note

    def note(self, call: str, text: str) -> None:
        """A word beside the tick of a cell."""
        self._notes[call] = text

    @property
    def failures(self) -> dict[str, str]:
        """What is wrong, by call. A cell that no check entered is wrong too."""
        missed = {call: "was not reached" for call in self.calls if call not in self._passed}
        return {} if self.not_run else missed | self._failures

    def text(self, call: str) -> str:
        """The cell as the table shows it."""
        if call not in self.calls:
            return _ABSENT
        if self.not_run:
            return "not run"
        if failure := self.failures.get(call):
            words = failure.strip().splitlines()[0]
            return f"✗ {words if len(words) <= _SHOWN else words[:_SHOWN] + '…'}"
        return f"{_OK} {self._notes.get(call, '')}".strip()


class Table:
    """Every row of one test run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    @contextmanager
    def row(self, client: str, *calls: str) -> Iterator[Row]:
        """The row of a client, for as long as its test runs.

        Raises:
            pytest.fail.Exception: a cell failed or was not reached.
        """
        row = Row(client, calls)
        self.rows.append(row)
        try:
            yield row
        except pytest.skip.Exception as skipped:
            row.not_run = str(skipped)
            raise
        failures = row.failures
        if failures:
            lines = "\n".join(f"{call}: {text}" for call, text in failures.items())
            pytest.fail(f"{client}\n{lines}", pytrace=False)

    def render(self, width: int) -> str:
        """The table as text, `width` columns wide, with the reasons below it.

        The first line of each: all of it stands in the test's own failure.
        """
        used = [call for call in CALLS if any(call in row.calls for row in self.rows)]
        table = RichTable(title="Clients and calls", show_lines=False, padding=(0, 0))
        table.add_column("client", overflow="fold", min_width=12)
        for call in used:
            table.add_column(call, overflow="fold")
        for row in self.rows:
            table.add_row(row.client, *(row.text(call) for call in used))
        console = Console(width=width, color_system=None)
        with console.capture() as capture:
            console.print(table)
            for row in self.rows:
                if row.not_run:
                    console.print(f"not run: {row.client}: {row.not_run}", markup=False)
                for call, failure in row.failures.items():
                    words = failure.strip().splitlines()[0]
                    console.print(f"✗ {row.client}, {call}: {words}", markup=False)
        return capture.get()
