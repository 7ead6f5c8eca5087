"""`cartouche import`: reads a dataset from disk, sends it, and says what became of it."""

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from services.catalog.images import check_image
from services.errors import CartoucheError, Invalid
from services.formats.common.source import ImportIssue
from services.importing.client import import_dataset
from services.importing.dataset import (
    NO_KEY,
    ImportItem,
    ImportOptions,
    ImportSource,
    NothingToImport,
    WrongUsage,
    check_locations,
    read_dataset,
)
from services.importing.endpoint import Endpoint
from services.importing.file_hashes import FileHashes, RememberedHashes, memory_place
from services.importing.issues import IssueLog
from services.importing.recognition import AUTO, recognised
from services.importing.summary import ImportSummary
from services.importing.upload import too_large
from services.texts import printable

#: Exit codes: every image and annotation that is meant for import is in; none is; wrong usage;
#: some were left out, or come in with less of their shape.
_ALL, _NONE, _WRONG_USAGE, _SOME = 0, 1, 2, 3
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class ImportCall:
    """What `cartouche import` is asked for."""

    dataset: str
    #: A source format, such as `coco`, or `auto`.
    format: str
    #: Folder of the image files.
    images: Path
    #: Annotation file or folder.
    annotations: Path
    options: ImportOptions
    server: Endpoint
    #: Of role member or above.
    api_key: str
    #: Gets every issue, as JSON lines.
    report: Path | None = None
    #: Read every file, whatever is remembered of it.
    rehashes: bool = False
    #: Say all of it, and send nothing.
    is_dry: bool = False
    #: Send nothing where anything would be left out.
    is_strict: bool = False


def run_import(call: ImportCall) -> int:
    """Imports a dataset with a progress bar, and names what is left out or repaired.

    Returns:
        The exit code: 0 where every image and annotation that is meant for import is in the
        dataset, 3 where some were left out or changed, 1 where none is in, the import failed or
        `is_strict` stopped it, 2 for wrong usage, and 130 where it was interrupted.
    """
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        with ExitStack() as open_files:
            if not (call.api_key or call.is_dry):
                raise WrongUsage(NO_KEY)
            report = open_files.enter_context(_opened(call.report)) if call.report else None
            return _Import(call, console, report).run()
    except WrongUsage as error:
        _print(errors, f"cartouche: {error}")
        return _WRONG_USAGE
    except CartoucheError as error:
        _print(errors, f"cartouche: {error}")
        return _NONE
    except OSError as error:
        _print(errors, f"cartouche: {error.filename} cannot be read: {error.strerror}")
        return _NONE
    except KeyboardInterrupt:
        _print(errors, "cartouche: interrupted; the same command goes on where this one stopped")
        return _INTERRUPTED


def import_quietly(server: Endpoint, api_key: str, dataset: str, folder: Path) -> ImportSummary:
    """Imports a dataset in the layout of the pictograph format, without a word.

    Args:
        server: the gRPC server.
        api_key: of role member or above.
        dataset: its name; it is made if it is missing.
        folder: holds `images`, `annotations` and `dataset.json`.

    Raises:
        ImportFailed: the folder cannot be read.
        CartoucheError: the server refused the import or an image.
    """
    source = read_dataset("pictograph", folder / "images", folder / "annotations")
    summary = import_dataset(server, api_key, dataset, source.items(), source.classes)
    if issue := summary.first_rejection:
        raise CartoucheError("IMAGE_REJECTED", f"{issue.item}: {issue.message}")
    return summary


class _Import:
    """One run of the command."""

    def __init__(self, call: ImportCall, console: Console, report: IO[bytes] | None) -> None:
        self._call = call
        self._console = console
        self._log = IssueLog(lambda line: _print(console, line), report)

    def run(self) -> int:
        """Imports, and says what became of it."""
        call = self._call
        check_locations(call.images, call.annotations)
        format = call.format
        if format == AUTO:
            found = recognised(call.annotations)
            format = found.format
            _print(self._console, f"taken for {format}: {found.why}")
        try:
            source = read_dataset(format, call.images, call.annotations, call.options)
        except NothingToImport as error:
            summary = ImportSummary()
            for issue in error.issues:
                self._log.take(issue)
                summary.name(issue)
            if error.issues:
                self._tell(summary)
            raise
        for issue in source.issues:
            self._log.take(issue)
        if call.is_dry or call.is_strict:
            summary = self._looked_through(source)
            is_stopped = call.is_strict and not (summary.is_complete and summary.taken)
            if call.is_dry or is_stopped:
                self._tell(summary)
                stopped = "; --strict stopped the import" if is_stopped else ""
                _print(self._console, f"nothing was sent{stopped}")
                return _NONE if is_stopped else _code(summary)
        summary = self._sent(source)
        self._tell(summary)
        return _NONE if call.is_strict and not summary.is_complete else _code(summary)

    def _looked_through(self, source: ImportSource) -> ImportSummary:
        """What would become of everything, as far as it can be known before it is sent."""
        summary = ImportSummary()
        for issue in source.issues:
            summary.name(issue)
        with self._progress() as progress:
            task = progress.add_task("looked at", total=len(source.paths))
            for item in source.items():
                problem = _problem(item)
                for issue in [*item.issues, *([problem] if problem else [])]:
                    summary.name(issue)
                    self._log.take(issue)
                if not (item.is_left_out or problem):
                    summary.ready.add(1, len(item.annotations))
                progress.advance(task)
        return summary

    def _sent(self, source: ImportSource) -> ImportSummary:
        hashes = FileHashes() if self._call.rehashes else RememberedHashes(memory_place())
        with hashes, self._progress() as progress:
            task = progress.add_task("images", total=len(source.paths))
            summary = import_dataset(
                self._call.server,
                self._call.api_key,
                self._call.dataset,
                self._items(source),
                source.classes,
                on_progress=lambda finished: progress.update(task, completed=finished),
                on_issue=self._log.take,
                hashes=hashes,
            )
        for issue in source.issues:
            summary.name(issue)
        return summary

    def _items(self, source: ImportSource) -> Iterator[ImportItem]:
        for item in source.items():
            # A strict import has named its notes already, when it looked at everything.
            yield dataclasses.replace(item, issues=[]) if self._call.is_strict else item

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )

    def _tell(self, summary: ImportSummary) -> None:
        self._console.print(_table(self._call.dataset, summary))
        if self._log.hidden and not self._call.report:
            more = f"{self._log.hidden:,} more lines like those above"
            _print(self._console, f"{more}: give --report FILE for all of them")


def _problem(item: ImportItem) -> ImportIssue | None:
    """Why the server would refuse an item."""
    if item.is_left_out:
        return None
    count = len(item.annotations)
    annotations = orjson.dumps(item.annotations)
    if message := too_large(annotations):
        return ImportIssue(item.path, "ANNOTATIONS_TOO_LARGE", message, 1, count)
    try:
        check_image(item.path, item.status or "", item.split or "", annotations)
    except Invalid as error:
        return ImportIssue(item.path, error.reason, error.message, 1, count)
    return None


def _code(summary: ImportSummary) -> int:
    if not summary.taken:
        return _NONE
    return _ALL if summary.is_complete else _SOME


def _opened(report: Path) -> IO[bytes]:
    try:
        return report.open("wb")
    except OSError as error:
        raise WrongUsage(f"{report} cannot be written: {error.strerror}") from None


def _table(dataset: str, summary: ImportSummary) -> Table:
    table = Table(title=Text(f"Dataset {printable(dataset)}"), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = {
        "created": summary.created,
        "updated": summary.updated,
        "replaced": summary.replaced,
        "unchanged": summary.unchanged,
        "passed over": summary.passed_over,
    }
    if summary.ready.images:
        rows = {"to send": summary.ready, "passed over": summary.passed_over}
    for noun in ("images", "annotations"):
        for name, amount in rows.items():
            table.add_row(f"{noun} {name}", f"{getattr(amount, noun):,}")
        if noun == "annotations" and summary.changed:
            table.add_row("annotations changed", f"{summary.changed:,}")
        table.add_section()
    for reason, count in sorted(summary.reasons.items()):
        table.add_row(reason, f"{count:,}")
    return table


def _print(console: Console, text: str) -> None:
    # As plain text: names may look like markup, or move the cursor.
    console.print(Text(printable(text)))
