"""The end of an archive: what follows the parts that builders uploaded.

Staged image entries, per-image files, dataset-wide documents, README.txt and the central
directory, as one stream in flat memory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.formats import manifest
from services.formats.common.export import ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.writer import Document
from services.formats.registry import FORMATS
from workers.archive.deflate import (
    DEFLATE_END,
    Fragment,
    crc32,
    crc32_combine,
    deflate,
    deflated_file,
    join,
)
from workers.archive.directory import DirectoryWriter
from workers.archive.entries import Entry, Method, local_header, pack_record
from workers.segment_text import documents, fragment, row_key
from workers.staging import Staging


@dataclass(frozen=True, slots=True)
class Summary:
    """What the segments add up to."""

    image_count: int
    annotation_count: int
    #: Images of each split; those without one are for training.
    split_counts: Mapping[str, int]
    losses: LossReport


def summarize(results: Sequence[dict[str, Any]]) -> Summary:
    """Adds up what the builders recorded."""
    losses = LossReport()
    split_counts: Counter[str] = Counter()
    for result in results:
        losses.merge(LossReport.from_json(result["losses"]))
        split_counts.update(result["split_counts"])
    return Summary(
        sum(result["image_count"] for result in results),
        sum(result["annotation_count"] for result in results),
        split_counts,
        losses,
    )


class Assembly:
    """The tail of one archive; iterated once.

    `length` and `crc32` count the whole archive, parts included, and are right when the
    iteration is over; so are `text_start`, where the entries that are not images begin,
    and `entry_count`.
    """

    def __init__(
        self,
        info: ExportInfo,
        results: Sequence[dict[str, Any]],
        staging: Staging,
    ) -> None:
        self._info = info
        self._results = results
        self._staging = staging
        self.summary = summarize(results)
        self._documents = self._ended_documents()
        self.length = 0
        self.crc32 = 0
        self.text_start = 0
        self.directory_start = 0
        self.entry_count = 0
        self._records: list[tuple[str | bytes, int]] = []
        for result in results:
            if part := result.get("part"):
                self._note(f"{result['stage']}image_records")
                self._count(part["length"], part["crc32"])

    def __iter__(self) -> Iterator[bytes]:
        yield from self._staged("images", "image_records")
        self.text_start = self.length
        yield from self._staged("files", "file_records")
        for position, document in enumerate(self._documents):
            yield from self._document(position, document)
        yield from self._file(
            manifest.README_PATH,
            manifest.readme(
                self._info,
                self.summary.image_count,
                self.summary.annotation_count,
                self.summary.losses,
            ),
        )
        yield from self._directory()

    def _ended_documents(self) -> list[Document]:
        """The documents, with their ends that only now are known; the manifest's is the last,
        as it reports what the others lose."""
        summary = self.summary
        FORMATS[self._info.format].report_classes(self._info.selected_classes, summary.losses)
        *others, last = documents(self._info)
        found = [other.ended(summary.split_counts, summary.losses) for other in others]
        tail = manifest.tail(summary.image_count, summary.annotation_count, summary.losses)
        return [*found, replace(last, frame=(*last.frame[:-1], tail))]

    def _staged(self, name: str, records: str) -> Iterator[bytes]:
        """Runs of complete entries that segments staged, in order."""
        for result in self._results:
            known = result.get(name)
            if not known:
                continue
            self._note(f"{result['stage']}{records}")
            yield from self._staging.stream(f"{result['stage']}{name}")
            self._count(known["length"], known["crc32"])

    def _document(self, position: int, document: Document) -> Iterator[bytes]:
        """One entry made of the frame and every segment's rows."""
        separator, separator_known = deflate(document.separator)
        # What the entry consists of: bytes at hand, or the key of a staged fragment.
        pieces: list[bytes | str] = []
        known: list[Fragment] = []
        for index, section in enumerate(("", *document.sections)):
            if section:
                keys = [
                    (f"{result['stage']}{key}", fragment(result["rows"][key]))
                    for result in self._results
                    if (key := row_key(position, section)) in result["rows"]
                ]
                for number, (key, rows) in enumerate(keys):
                    if number:
                        pieces.append(separator)
                        known.append(separator_known)
                    pieces.append(key)
                    known.append(rows)
            body, frame_known = deflate(document.frame[index])
            pieces.append(body)
            known.append(frame_known)
        pieces.append(DEFLATE_END)
        whole = join(known)
        entry = Entry(
            document.path,
            whole.crc32,
            whole.size,
            whole.compressed_size + len(DEFLATE_END),
            Method.DEFLATED,
        )
        yield from self._entry(entry, pieces)

    def _file(self, path: str, content: bytes) -> Iterator[bytes]:
        body, known = deflated_file(content)
        entry = Entry(path, known.crc32, known.size, known.compressed_size, Method.DEFLATED)
        yield from self._entry(entry, [body])

    def _entry(self, entry: Entry, pieces: Iterable[bytes | str]) -> Iterator[bytes]:
        self._note(pack_record(entry, 0))
        yield from self._counted([local_header(entry)])
        for piece in pieces:
            if isinstance(piece, str):
                yield from self._counted(self._staging.stream(piece))
            else:
                yield from self._counted([piece])

    def _directory(self) -> Iterator[bytes]:
        self.directory_start = self.length
        writer = DirectoryWriter()
        for source, base in self._records:
            packed = b"".join(self._staging.stream(source)) if isinstance(source, str) else source
            yield from self._counted([writer.records(packed, base)])
        self.entry_count = writer.entry_count
        yield from self._counted([writer.end(self.directory_start)])

    def _note(self, records: str | bytes) -> None:
        """Remembers records, or where they are staged, whose entries begin here."""
        self._records.append((records, self.length))

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._count(len(piece), crc32(piece))
            yield piece

    def _count(self, length: int, crc: int) -> None:
        self.crc32 = crc32_combine(self.crc32, crc, length)
        self.length += length
