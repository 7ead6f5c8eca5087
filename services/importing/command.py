"""`cartouche import`: reads a dataset from disk, sends it, and says what became of it."""

from pathlib import Path

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

from services.errors import CartoucheError
from services.formats.common.source import ImportIssue
from services.importing.client import import_dataset
from services.importing.dataset import read_dataset
from services.importing.upload import ImportSummary

_OK, _FAILED, _INTERRUPTED = 0, 1, 130


def run_import(
    *,
    dataset: str,
    format: str,
    images: Path,
    annotations: Path,
    status: str | None,
    split_from: Path | None,
    split: str | None,
    server: str,
    api_key: str,
) -> int:
    """Imports a dataset with a progress bar, and names what was skipped or repaired.

    Args:
        dataset: its name; it is made if it is missing.
        format: a source format, such as `coco`.
        images: folder of the image files.
        annotations: annotation file or folder.
        status: of every image; None: what the source says, else `new`.
        split_from: what says which split an image belongs to; None: the source.
        split: of every image; None: what `split_from` or the source says.
        server: address of the gRPC server.
        api_key: of role member or above.

    Returns:
        The exit code: 0 where everything that was sent is stored, also with named skips; 1
        where nothing was found, the server refused an image, or the import failed; 130 where
        it was interrupted.
    """
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(highlight=False, soft_wrap=True, stderr=True)
    if not api_key:
        _print(errors, "cartouche: give an API key with --api-key or CARTOUCHE_API_KEY")
        return _FAILED
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    try:
        source = read_dataset(format, images, annotations, status, split_from, split)
        for issue in source.issues:
            _print_issue(console, issue)
        with progress:
            task = progress.add_task("images", total=len(source.paths))
            summary = import_dataset(
                server,
                api_key,
                dataset,
                source.items(),
                source.classes,
                on_progress=lambda finished: progress.update(task, completed=finished),
                on_issue=lambda issue: _print_issue(console, issue),
            )
    except CartoucheError as error:
        _print(errors, f"cartouche: {error}")
        return _FAILED
    except KeyboardInterrupt:
        _print(errors, "cartouche: interrupted; the same command goes on where this one stopped")
        return _INTERRUPTED
    summary.issues.update(issue.reason for issue in source.issues)
    console.print(_table(dataset, summary))
    return _FAILED if summary.rejected or not summary.stored else _OK


def import_quietly(server: str, api_key: str, dataset: str, folder: Path) -> ImportSummary:
    """Imports a dataset in the layout of the pictograph format, without a word.

    Args:
        server: address of the gRPC server.
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


def _table(dataset: str, summary: ImportSummary) -> Table:
    table = Table(title=Text(f"Dataset {_shown(dataset)}"), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = [
        ("images created", summary.created),
        ("images updated", summary.updated),
        ("images replaced", summary.replaced),
        ("images unchanged", summary.unchanged),
        ("images rejected", summary.rejected),
        ("images skipped", summary.skipped),
        ("annotations", summary.annotation_count),
    ]
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    if summary.issues:
        table.add_section()
        for reason, count in sorted(summary.issues.items()):
            table.add_row(reason, f"{count:,}")
    return table


def _print_issue(console: Console, issue: ImportIssue) -> None:
    _print(console, f"{issue.reason} {issue.item}: {issue.message}")


def _print(console: Console, text: str) -> None:
    # As plain text: names may look like markup, or move the cursor.
    console.print(Text(_shown(text)))


def _shown(text: str) -> str:
    """The text with what does not print, or turns the direction of writing, escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
