"""The table of formats and readers: what each reader saw in the archives of a format."""

from collections import defaultdict
from io import StringIO

from rich.console import Console
from rich.table import Table as RichTable

from tests.oracles.model import OracleResult


class Table:
    """Results by format and reader; `text` shows them."""

    def __init__(self) -> None:
        self._results: dict[str, dict[str, list[OracleResult]]] = {}
        self._failures: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def passed(self, format_: str, reader: str, result: OracleResult) -> None:
        """A reader saw what the source has."""
        self._results.setdefault(format_, {}).setdefault(reader, []).append(result)

    def failed(self, format_: str, reader: str, archive: str) -> None:
        """A reader saw something else in an archive."""
        self._results.setdefault(format_, {}).setdefault(reader, [])
        self._failures[format_][reader].append(archive)

    def text(self, width: int) -> str:
        """Formats down, readers across; empty where nothing was read."""
        if not self._results:
            return ""
        readers = dict.fromkeys(name for row in self._results.values() for name in row)
        table = RichTable(
            title="Images, annotations and largest error in pixels, of all archives together"
        )
        table.add_column("format")
        for name in readers:
            table.add_column(name, justify="right")
        for format_, row in self._results.items():
            table.add_row(
                format_, *(self._cell(format_, name) if name in row else "" for name in readers)
            )
        text = StringIO()
        Console(width=width, file=text).print(table)
        return text.getvalue()

    def _cell(self, format_: str, reader: str) -> str:
        if wrong := self._failures[format_][reader]:
            return f"WRONG: {', '.join(wrong)}"
        results = self._results[format_][reader]
        images = sum(result.images for result in results)
        annotations = sum(result.annotations for result in results)
        error = max(result.largest_error_px for result in results)
        return f"{images:,}\n{annotations:,}\n{error:.2g} px"
