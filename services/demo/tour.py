"""The tour that `cartouche demo` gives: export the demo dataset, download the archive,
check it, and show what is inside. An outside client: it uses nothing but the REST API."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from services.demo.archive_check import Contents, check_archive
from services.demo.dataset.scenes import DATASET_NAME
from services.demo.rest import ExportsApi, fetch
from services.errors import AlreadyExists, CartoucheError, Unavailable

_POLL_SECONDS = 0.15
#: An export that shows no change for so long is given up.
_STALL_SECONDS = 120.0
#: Names to try while others take the free ones first.
_ATTEMPTS = 20


def run(base_url: str, api_key: str, target: Path) -> None:
    """Exports `street-scenes` as COCO with images into the file `target`.

    Every run creates a new export, under the first free name of demo-1, demo-2, …

    Args:
        base_url: where the REST gateway answers.
        api_key: a key of role member or above.
        target: the archive's file; it is replaced once the download is whole and right.

    Raises:
        CartoucheError: what went wrong, and what to do.
    """
    console = Console()
    api = ExportsApi(base_url, api_key)
    name = _create(api)
    console.print(f"Export [bold]{name}[/] of [bold]{DATASET_NAME}[/]: COCO, with images")
    export = _wait(api, name, console)
    link = api.download_link(DATASET_NAME, name)
    with _part_of(target) as part:
        _download(link, export, part, console)
        contents = check_archive(part, export["image_count"], export["annotation_count"])
        part.replace(target)
    _show(console, target, export, link, contents)


def link(base_url: str, api_key: str) -> str:
    """Exports `street-scenes` as COCO with images; a signed URL of the archive.

    Says on standard error what happens.

    Args:
        base_url: where the REST gateway answers.
        api_key: a key of role member or above.

    Raises:
        CartoucheError: what went wrong, and what to do.
    """
    api = ExportsApi(base_url, api_key)
    name = _create(api)
    _wait(api, name, Console(stderr=True))
    signed: str = api.download_link(DATASET_NAME, name)["download_url"]
    return signed


def _create(api: ExportsApi) -> str:
    taken = api.list_names(DATASET_NAME)
    free = (name for n in itertools.count(1) if (name := f"demo-{n}") not in taken)
    for name in itertools.islice(free, _ATTEMPTS):
        try:
            api.create(
                {
                    "dataset_name": DATASET_NAME,
                    "name": name,
                    "format": "coco",
                    "include_images": True,
                }
            )
        except AlreadyExists:
            continue
        return name
    raise CartoucheError(
        "NO_FREE_NAME",
        f"{_ATTEMPTS} export names from demo-1 on were taken meanwhile. Run the demo again.",
    )


def _wait(api: ExportsApi, name: str, console: Console) -> dict[str, Any]:
    """Watches the export until it is completed."""
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    seen: tuple[str, float] | None = None
    changed_at = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("pending", total=1.0)
        while True:
            export = api.get(DATASET_NAME, name)
            status, share = export["status"], export["progress"]
            progress.update(task, description=status, completed=share)
            if status == "completed":
                return export
            if status == "failed":
                raise CartoucheError(
                    "EXPORT_FAILED", f"The export {name} failed: {export['error_message']}"
                )
            if (status, share) != seen:
                seen, changed_at = (status, share), time.monotonic()
            elif time.monotonic() - changed_at > _STALL_SECONDS:
                raise Unavailable(
                    "EXPORT_STALLED",
                    f"The export {name} has been {status} at {share:.0%} for "
                    f"{_STALL_SECONDS:.0f} s. Is a worker running?",
                )
            time.sleep(_POLL_SECONDS)


@contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A file beside the target that does not outlive the block."""
    part = target.with_name(target.name + ".part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _download(link: dict[str, Any], export: dict[str, Any], part: Path, console: Console) -> None:
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("downloading", total=export["file_size"])
        size, crc32 = fetch(link["download_url"], part, lambda n: progress.advance(task, n))
    expected = export["crc32"]
    if size != export["file_size"] or (expected and f"{crc32:08x}" != expected):
        raise CartoucheError(
            "ARCHIVE_WRONG",
            f"The download has {size:,} bytes with CRC-32 {crc32:08x}; the export says "
            f"{export['file_size']:,} and {expected}. Run the demo again.",
        )


def _show(
    console: Console,
    target: Path,
    export: dict[str, Any],
    link: dict[str, Any],
    contents: Contents,
) -> None:
    table = Table(title=escape(target.name), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("size", f"{export['file_size']:,} bytes")
    table.add_row("entries", f"{contents.entries:,}")
    table.add_row("images", f"{contents.images:,}")
    table.add_row("annotations", f"{export['annotation_count']:,}")
    for class_name, count in contents.annotations.items():
        table.add_row(f"  {escape(class_name)}", f"{count:,}")
    for kind, count in (export.get("warnings") or {}).items():
        if count:
            table.add_row(f"{kind} (see manifest.json)", f"{count:,}")
    table.add_row("the link works until", link["expires_at"])
    console.print(table)
    console.print(
        "[green]Checked:[/] every entry reads back with its CRC-32, and the counts are "
        "those of the export.\n",
        soft_wrap=True,
    )
    folder = target.stem
    console.print(
        "Next:\n"
        f"  unzip -q {target} -d {folder}\n"
        "  pip install pycocotools\n"
        '  python -c "from pycocotools.coco import COCO; '
        f"coco = COCO('{folder}/annotations/instances_default.json'); "
        "print(len(coco.getAnnIds(catIds=coco.getCatIds(['car']))), 'cars')\"",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
