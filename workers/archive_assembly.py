"""The end of an archive: what follows the parts that builders uploaded.

Staged image entries, per-image files, dataset-wide documents, README.txt and the central
directory, as one stream in flat memory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

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
from workers.proofreading import ArchiveDamaged, Counts
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
    #: Bytes of the largest file of an image, or row of a document; 0 where nobody noted it.
    largest: int = 0
    #: What their text holds; None where one of them was not read while it was at hand.
    read: Counts | None = None


#: What the assembly must keep of each result. What it lost, with a hundred ids for each reason, is
#: added up as it comes.
_KEPT = ("stage", "part", "images", "files", "rows", "sums")


def summarize(results: Iterable[dict[str, Any]]) -> tuple[Summary, list[dict[str, Any]]]:
    """Adds up what the builders recorded, and gives what is needed of each result beyond that.

    Results of images alone count nothing: the text of the same images does.
    """
    losses = LossReport()
    split_counts: Counter[str] = Counter()
    image_count, annotation_count, largest = 0, 0, 0
    kept: list[dict[str, Any]] = []
    read: Counts | None = Counts()
    for result in results:
        if "losses" in result:
            losses.merge(LossReport.from_json(result["losses"]))
            split_counts.update(result["split_counts"])
            image_count += result["image_count"]
            annotation_count += result["annotation_count"]
            largest = max(largest, result.get("largest", 0))
            # Versions before this one did not read.
            if "read" not in result:
                read = None
            elif read is not None:
                read += Counts(*result["read"])
        kept.append({name: result[name] for name in _KEPT if name in result})
    return Summary(image_count, annotation_count, split_counts, losses, largest, read), kept


@dataclass(frozen=True, slots=True)
class _Staged:
    """What a builder staged: its key, and the CRC-32 that it had; None: nobody noted it."""

    key: str
    crc32: int | None

    @classmethod
    def of(cls, result: Mapping[str, Any], name: str) -> Self:
        """What the builder of `result` staged under this name."""
        return cls(f"{result['stage']}{name}", result.get("sums", {}).get(name))


@dataclass(frozen=True, slots=True)
class _Composed:
    """An entry and what it consists of: bytes at hand, or staged fragments."""

    entry: Entry
    pieces: Sequence["bytes | _Staged"]

    @property
    def length(self) -> int:
        """Bytes of the whole entry."""
        return len(local_header(self.entry)) + self.entry.compressed_size


class Assembly:
    """The tail of one archive; iterated once.

    `length` and `crc32` count the whole archive, parts included, and are right when the
    iteration is over; so are `text_start`, where the entries that are not images begin,
    `text_crc32` of all of these, `directory_crc32` of the directory and the end, and `entry_count`.
    `documents` are those of the archive, complete but for their rows. Of every result only what has
    to be read again is kept: memory grows with the parts, of which there are at most 10,000, and
    not with what was lost.
    """

    def __init__(
        self,
        info: ExportInfo,
        results: Iterable[dict[str, Any]],
        staging: Staging,
    ) -> None:
        self._info = info
        self._staging = staging
        self.summary, self._results = summarize(results)
        self.documents = self._ended_documents()
        self.length = 0
        self.crc32 = 0
        self.text_crc32 = 0
        self.directory_crc32 = 0
        self.text_start = 0
        self.directory_start = 0
        self.entry_count = 0
        self._crc32_here = 0
        #: Where parts begin and end that the store has copied.
        self.copied_ends: set[int] = set()
        self.copied_bytes = 0
        self._records: list[tuple[_Staged | bytes, int]] = []
        for result in self._results:
            if part := result.get("part"):
                self._note(_Staged.of(result, "image_records"))
                start = self.length
                self._count(part["length"], part["crc32"])
                if part.get("copied"):
                    self.copied_ends |= {start, self.length}
                    self.copied_bytes += part["length"]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._staged("images", "image_records")
        self.text_start, self._crc32_here = self.length, 0
        yield from self._staged("files", "file_records")
        for composed in self._composed():
            yield from self._entry(composed)
        self.text_crc32, self._crc32_here = self._crc32_here, 0
        yield from self._directory()
        self.directory_crc32 = self._crc32_here

    @property
    def parts(self) -> list[tuple[int, str]]:
        """Number and ETag of each part that builders uploaded."""
        return [(part["number"], part["etag"]) for r in self._results if (part := r.get("part"))]

    @property
    def known_length(self) -> int:
        """Bytes of the tail before the central directory, known before anything is read."""
        staged: int = sum(
            known["length"]
            for result in self._results
            for name in ("images", "files")
            if (known := result.get(name))
        )
        return staged + sum(composed.length for composed in self._composed())

    def _composed(self) -> Iterator[_Composed]:
        """The entries that are made of what was staged: documents, and README.txt."""
        for position, document in enumerate(self.documents):
            yield self._document(position, document)
        summary = self.summary
        content = manifest.readme(
            self._info, summary.image_count, summary.annotation_count, summary.losses
        )
        body, known = deflated_file(content)
        sizes = known.size, known.compressed_size
        entry = Entry(manifest.README_PATH, known.crc32, *sizes, Method.DEFLATED)
        yield _Composed(entry, [body])

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
            self._note(_Staged.of(result, records))
            yield from self._stream(_Staged.of(result, name))
            self._count(known["length"], known["crc32"])

    def _document(self, position: int, document: Document) -> _Composed:
        """One entry made of the frame and every segment's rows."""
        separator, separator_known = deflate(document.separator)
        pieces: list[bytes | _Staged] = []
        known: list[Fragment] = []
        for index, section in enumerate(("", *document.sections)):
            if section:
                keys = [
                    (_Staged.of(result, key), fragment(result["rows"][key]))
                    for result in self._results
                    if (key := row_key(position, section)) in result.get("rows", ())
                ]
                for number, (staged, rows) in enumerate(keys):
                    if number:
                        pieces.append(separator)
                        known.append(separator_known)
                    pieces.append(staged)
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
        return _Composed(entry, pieces)

    def _entry(self, composed: _Composed) -> Iterator[bytes]:
        self._note(pack_record(composed.entry, 0))
        yield from self._counted([local_header(composed.entry)])
        for piece in composed.pieces:
            if isinstance(piece, _Staged):
                yield from self._counted(self._stream(piece))
            else:
                yield from self._counted([piece])

    def _directory(self) -> Iterator[bytes]:
        self.directory_start = self.length
        writer = DirectoryWriter()
        for source, base in self._records:
            packed = b"".join(self._stream(source)) if isinstance(source, _Staged) else source
            yield from self._counted([writer.records(packed, base)])
        self.entry_count = writer.entry_count
        yield from self._counted([writer.end(self.directory_start)])

    def _stream(self, staged: _Staged) -> Iterator[bytes]:
        """What was staged.

        Raises:
            ArchiveDamaged: it is not what its builder made.
        """
        crc = 0
        for chunk in self._staging.stream(staged.key):
            crc = crc32(chunk, crc)
            yield chunk
        if staged.crc32 not in (None, crc):
            raise ArchiveDamaged(f"{staged.key}, which was staged, changed in the store")

    def _note(self, records: _Staged | bytes) -> None:
        """Remembers records, or where they are staged, whose entries begin here."""
        self._records.append((records, self.length))

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._count(len(piece), crc32(piece))
            yield piece

    def _count(self, length: int, crc: int) -> None:
        self.crc32 = crc32_combine(self.crc32, crc, length)
        self._crc32_here = crc32_combine(self._crc32_here, crc, length)
        self.length += length
