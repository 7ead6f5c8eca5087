"""What `cartouche exports` and `cartouche datasets` do: calls, and what is said of them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from cartouche.exports.v1 import export_service_pb2 as pb
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from services.errors import CartoucheError
from services.exporting.calls import Address, Exports
from services.exporting.download import Link, download, stream
from services.exporting.shown import (
    as_json,
    export_lines,
    export_rows,
    json_line,
    preview_rows,
    size_words,
    status_word,
)
from services.exporting.unpacking import unpack
from services.texts import printable

#: Exit codes: done; the export has failed.
DONE, EXPORT_FAILED = 0, 3


class Commands:
    """The commands on one server."""

    def __init__(self, exports: Exports, *, as_json: bool) -> None:
        self._exports = exports
        self._as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)
        # Progress is for people, and leaves standard output to what was asked for.
        self._err = Console(highlight=False, soft_wrap=True, stderr=True)

    def create(self, request: pb.CreateExportRequest, *, wait: bool) -> int:
        """Makes an export, and follows it where that is wanted."""
        return self._follow_or_tell(self._exports.create(request), wait=wait)

    def retry(self, address: Address, *, fresh: bool, wait: bool) -> int:
        """Takes a failed export up again, and follows it where that is wanted."""
        return self._follow_or_tell(self._exports.retry(address, fresh=fresh), wait=wait)

    def preview(self, request: pb.PreviewExportRequest) -> int:
        """Says what an export would hold and lose."""
        preview = self._exports.preview(request)
        if self._as_json:
            print(json_line(preview))
        else:
            self._out.print(preview_rows(preview))
        return DONE

    def find(
        self,
        dataset: str,
        status: "pb.ExportStatus.ValueType",
        formats: Sequence[str],
        limit: int,
        offset: int,
    ) -> int:
        """Lists exports, newest first."""
        found, total = self._exports.find(dataset, status, formats, limit, offset)
        if self._as_json:
            answer = {"exports": [as_json(export) for export in found], "total": total}
            print(orjson.dumps(answer).decode())
        else:
            print("\n".join(export_lines(found, total)))
        return DONE

    def get(self, address: Address) -> int:
        """Shows one export."""
        self._tell(self._exports.get(address))
        return DONE

    def watch(self, address: Address) -> int:
        """Follows an export to its end."""
        return self._follow(self._exports.watch(address))

    def cancel(self, address: Address) -> int:
        """Ends an export that is waiting or being built."""
        self._tell(self._exports.cancel(address))
        return DONE

    def delete(self, addresses: Sequence[Address], ask: Callable[[str], None]) -> int:
        """Removes exports with their archives; `ask` raises where that is not wanted."""
        ids = [address for address in addresses if isinstance(address, str)]
        if len(ids) == len(addresses) and len(ids) > 1:
            ask(f"Delete {len(ids)} exports with their archives?")
            deleted, not_found = self._exports.delete_many(ids)
            if self._as_json:
                print(orjson.dumps({"deleted": deleted, "not_found": not_found}).decode())
            else:
                print(f"deleted {len(deleted)} exports")
            for missing in not_found:
                self._say(f"not found: {missing}")
            return 1 if not_found else DONE
        for address in addresses:
            found = self._exports.get(address)
            ask(f"Delete {_name(found)} with its archive?")
            self._exports.delete(found.id)
            if self._as_json:
                print(orjson.dumps({"deleted": [found.id], "not_found": []}).decode())
            else:
                print(printable(f"deleted {_name(found)}"))
        return DONE

    def download(
        self, address: Address, output: Path | None, folder: Path | None, *, force: bool
    ) -> int:
        """Downloads an archive, checks it, and unpacks it where that is wanted.

        Without `output` the file is named like the export, or lies beside the folder until it is
        unpacked.
        """
        if output == Path("-"):
            with self._bytes(self._exports.get(address)) as progress:
                stream(lambda: self._link(address), sys.stdout.buffer, progress)
            return DONE
        export = self._exports.get(address)
        if folder is not None:
            _check_empty(folder)
        file = output or _beside(folder, export)
        if output is not None and output.is_dir():
            file = output / f"{_file_name(export)}.zip"
        if file.exists() and not force:
            raise CartoucheError(
                "FILE_EXISTS", f"{file} is there already; give --force, or another file with -o"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._bytes(export) as progress:
            download(lambda: self._link(address), file, progress)
        size = file.stat().st_size
        answer: dict[str, object] = {"file": str(file), "size": size}
        if folder is None:
            said = f"{file}: {size_words(size)}, sums are right"
        else:
            files = unpack(file, folder)
            answer = {"folder": str(folder), "files": files, "size": size}
            said = f"{folder}: {files:,} files"
            if output is None:
                file.unlink()
            else:
                answer["file"] = str(file)
        if self._as_json:
            print(orjson.dumps(answer).decode())
        else:
            print(printable(said))
        return DONE

    def _link(self, address: Address) -> Link:
        answer = self._exports.download_url(address)
        crc32 = answer.crc32 if answer.HasField("crc32") else None
        return Link(answer.download_url, answer.file_size, crc32, answer.sha256)

    def _follow_or_tell(self, export: pb.Export, *, wait: bool) -> int:
        if wait:
            return self._follow(self._exports.watch(export.id))
        self._tell(export)
        return DONE

    def _follow(self, states: Iterator[pb.Export]) -> int:
        last: pb.Export | None = None
        with self._progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        ) as bar:
            task = bar.add_task("pending", total=1.0)
            for last in states:
                bar.update(task, completed=last.progress, description=status_word(last))
                if self._as_json:
                    print(json_line(last), flush=True)
        if last is None:
            raise CartoucheError("STREAM_ENDED", "the server ended the watch; watch again")
        if not self._as_json:
            self._tell(last)
        return EXPORT_FAILED if last.status == pb.EXPORT_STATUS_FAILED else DONE

    @contextmanager
    def _bytes(self, export: pb.Export) -> Iterator[Callable[[int], None]]:
        with self._progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        ) as bar:
            task = bar.add_task(printable(export.name), total=export.file_size or None)
            yield lambda done: bar.update(task, completed=done)

    def _progress(self, *columns: ProgressColumn) -> Progress:
        # Nothing is drawn where nobody looks.
        return Progress(*columns, console=self._err, disable=not self._err.is_terminal)

    def _tell(self, export: pb.Export) -> None:
        if self._as_json:
            print(json_line(export))
        else:
            self._out.print(export_rows(export))

    def _say(self, line: str) -> None:
        self._err.print(Text(printable(line)))


def _name(export: pb.Export) -> str:
    return f"export {export.name!r} of dataset {export.dataset_name!r}"


def _file_name(export: pb.Export) -> str:
    """The export's name as a file's, on every system."""
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in export.name)
    return kept.strip(". ") or export.id


def _beside(folder: Path | None, export: pb.Export) -> Path:
    if folder is None:
        return Path(f"{_file_name(export)}.zip")
    place = folder.resolve()
    return place.with_name(f"{place.name}.zip")


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CartoucheError("FOLDER_NOT_EMPTY", f"{folder} is no empty folder; unpack elsewhere")
