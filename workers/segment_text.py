"""The text of a segment: per-image files as entries, rows of documents as fragments."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from services.formats import manifest
from services.formats.common.export import ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.writer import Document
from services.formats.registry import FORMATS
from workers.archive.deflate import Fragment, crc32, deflate, deflated_file, join
from workers.archive.entries import Entry, Method, local_header, pack_record
from workers.budget import LARGE
from workers.proofreading import Proofreader
from workers.segment_manifest import Block

#: A row list of a document: the document's position, the section's name.
Section = tuple[int, str]
#: Of all threads one renders, an image at a time: there is one interpreter, and the memory that a
#: raster takes at the limits is needed once.
_rendering = threading.Lock()


def documents(info: ExportInfo) -> list[Document]:
    """The dataset-wide files of an archive, the manifest last."""
    return [*FORMATS[info.format].writer.documents(info), manifest.document(info)]


@dataclass(slots=True)
class _Rows:
    """Deflated rows of one section, with what is known of them."""

    pieces: list[bytes] = field(default_factory=list)
    known: Fragment = field(default_factory=lambda: Fragment(0, 0, 0))

    def append(self, separator: bytes, rows: bytes) -> None:
        """Adds a block's rows, already joined."""
        for data in (separator, rows) if self.pieces else (rows,):
            body, fragment = deflate(data)
            self.pieces.append(body)
            self.known = join((self.known, fragment))


class SegmentText:
    """Collects the text of a segment block by block."""

    def __init__(self, info: ExportInfo) -> None:
        self._info = info
        self._format = FORMATS[info.format].writer
        self._documents: Sequence[Document] = documents(info)
        self._position = {doc.path: index for index, doc in enumerate(self._documents)}
        self._rows: dict[Section, _Rows] = {}
        self._files: list[bytes] = []
        self._file_records: list[bytes] = []
        self._files_size = 0
        self.image_count = 0
        self.annotation_count = 0
        self.split_counts: Counter[str] = Counter()
        self.losses = LossReport()
        #: Bytes of the largest file, or row of those that matter: what reads them back needs a
        #: multiple of them.
        self.largest = 0
        self._proofreader = Proofreader(info)

    def add(self, block: Block, check: Callable[[], None] = lambda: None) -> None:
        """Renders the images of a block; `check` is called before each, as one may take a
        second."""
        rows: dict[Section, list[bytes]] = {}
        files, records = len(self._files), len(self._file_records)
        manifest_section = (len(self._documents) - 1, manifest.SECTION)
        for planned in block:
            check()
            with _rendering:
                rendered = self._format.render(planned.image, self._info)
            for path, content in rendered.files:
                self.largest = max(self.largest, len(content))
                if len(content) <= LARGE:
                    self._proofreader.read(path, iter(content.split(b"\n")))
                self._add_file(path, content)
            for (path, section), found in rendered.rows.items():
                if found:
                    place = self._position[path], section
                    # Joined, they take less than a buffer for each.
                    text = self._documents[place[0]].separator.join(found)
                    if len(text) > LARGE:
                        self.largest = max(self.largest, *map(len, found))
                    rows.setdefault(place, []).append(text)
            rows.setdefault(manifest_section, []).append(
                manifest.row(planned.image, self._info, rendered)
            )
            self.image_count += 1
            self.annotation_count += rendered.annotation_count
            self.split_counts[planned.image.split or "train"] += 1
            self.losses.merge(rendered.losses)
        joined = {
            place: self._documents[place[0]].separator.join(rows.pop(place)) for place in list(rows)
        }
        self._read_rows(joined, len(block))
        _join_from(self._files, files)
        _join_from(self._file_records, records)
        for place, text in joined.items():
            self._rows.setdefault(place, _Rows()).append(self._documents[place[0]].separator, text)

    def _read_rows(self, rows: Mapping[Section, bytes], images: int) -> None:
        """Reads the rows of a block while they are at hand."""
        if self.largest > LARGE:
            return
        for position in {position for position, _ in rows}:
            document = self._documents[position]
            found = {section: text for (place, section), text in rows.items() if place == position}
            self._proofreader.read_rows(document, found, images)

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept until `pieces` gives them out."""
        rows = sum(rows.known.compressed_size for rows in self._rows.values())
        return self._files_size + rows

    def _add_file(self, path: str, content: bytes) -> None:
        body, known = deflated_file(content)
        entry = Entry(path, known.crc32, known.size, known.compressed_size, Method.DEFLATED)
        self._file_records.append(pack_record(entry, self._files_size))
        for piece in (local_header(entry), body):
            self._files.append(piece)
            self._files_size += len(piece)

    def pieces(self) -> tuple[dict[str, Sequence[bytes]], dict[str, Any]]:
        """What must be staged, by key and in pieces, and what the record must know of it."""
        staged: dict[str, Sequence[bytes]] = {}
        known: dict[str, Any] = {
            "image_count": self.image_count,
            "annotation_count": self.annotation_count,
            "split_counts": dict(self.split_counts),
            "largest": self.largest,
            "losses": self.losses.to_json(),
            "rows": {},
        }
        if self.largest <= LARGE:
            # Else the check of the archive reads, which takes the memory for it.
            known["read"] = astuple(self._proofreader.counts)
        if self._files:
            staged["files"] = self._files
            staged["file_records"] = self._file_records
        for (position, section), rows in self._rows.items():
            key = row_key(position, section)
            staged[key] = rows.pieces
            known["rows"][key] = [
                rows.known.crc32,
                rows.known.size,
                rows.known.compressed_size,
            ]
        known["sums"] = {key: _crc32_of(pieces) for key, pieces in staged.items()}
        if self._files:
            known["files"] = {"length": self._files_size, "crc32": known["sums"]["files"]}
        return staged, known


def _join_from(pieces: list[bytes], first: int) -> None:
    """Makes one piece of all from the first one on: hundreds take more memory, and are passed on
    one by one."""
    if len(pieces) > first:
        pieces[first:] = [b"".join(pieces[first:])]


def _crc32_of(pieces: Iterable[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
    return crc


def row_key(position: int, section: str) -> str:
    """The key under which a segment stages the rows of a section."""
    return f"rows-{position}-{section}"


def fragment(known: Iterable[int]) -> Fragment:
    """A fragment as `SegmentText.pieces` wrote it down."""
    return Fragment(*known)
