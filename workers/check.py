"""The check of a finished archive, as it lies in the store, before anybody may have it."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import igzip_lib, isal_zlib
from isal.isal_zlib import crc32

from services.formats.common.export import ExportInfo
from services.storage import ObjectNotFound, ObjectStore
from workers.archive.entries import local_header_size
from workers.archive.reader import (
    DirectoryRecord,
    End,
    read_directory,
    read_end,
    read_local_header,
)
from workers.archive_assembly import Summary
from workers.entry_names import EntryNames, clash
from workers.leases import Held
from workers.lines import lines_of
from workers.proofreading import ArchiveDamaged, Counts, Proofreader, compare

#: Images whose bytes are read back where not all are.
SAMPLED_IMAGES = 16
#: Ends of copied parts at which they are read back as well.
_SAMPLED_ENDS = 64
#: Bytes of an archive that is read at once, and wholly: a call for each of its parts would take
#: longer than its bytes.
AT_ONCE = 6 * 1024 * 1024
_PIECE = 2 * 1024 * 1024
#: Entries of up to this many bytes are read side by side, in one call each.
_SAMPLED_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadText:
    """What is known of text that was read while it was at hand: what it holds, and the CRC-32 of
    all its entries as they were built, and of the directory with the end."""

    counts: Counts
    text_crc32: int
    directory_crc32: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What was built. Offsets and sizes are bytes of the archive."""

    key: str
    size: int
    text_start: int
    directory_start: int
    entry_count: int
    #: Entries that are images; 0 where the archive has annotations only.
    stored_images: int
    summary: Summary
    info: ExportInfo
    #: Where parts begin and end that were copied from an earlier archive.
    copied_ends: Collection[int] = ()
    #: None: nobody has read all of the text, so that the check does.
    read: ReadText | None = None


def check(
    store: ObjectStore, held: Held, expected: Expected, depth: str, *, at_once: int = AT_ONCE
) -> str | None:
    """Opens the archive and checks it.

    Always: its size, the end record, every directory record, that no two entries share a name, and
    every byte that is of no image. Where text was read while it was at hand, its bytes and those of
    the directory are compared with what was read, by their CRC-32, and what they held with what was
    built; else every entry is read here, as the readers of the format take it. With `depth` "full",
    and in an archive of up to `at_once` bytes, every image is read; else a sample, with the first
    and the last image of parts that were copied from an earlier archive (where these are many, of
    some). Returns the SHA-256 of the archive where the whole of it was read.

    Raises:
        ArchiveDamaged: something is not as it was built.
        StorageError: the store does not answer.
        ClaimLost: the work is for nothing.
    """
    reading = _Reading(store, held, expected, is_small=expected.size <= at_once)
    read = expected.read
    proofreader = Proofreader(expected.info)
    names = EntryNames()
    size = reading.size()
    if size != expected.size:
        raise ArchiveDamaged(f"it has {size} bytes in the store, not {expected.size}")
    tail = min(expected.size, 22 + 20 + 56)
    end = reading.end(tail)
    found = end.entry_count, end.offset, end.offset + end.size + end.length
    if found != (expected.entry_count, expected.directory_start, expected.size):
        raise ArchiveDamaged("its end record does not point to its directory")
    whole = depth == "full" or reading.is_small
    records = reading.directory()
    step = max(1, expected.stored_images // SAMPLED_IMAGES)
    some = 1 + len(expected.copied_ends) // _SAMPLED_ENDS
    ends = frozenset(sorted(expected.copied_ends)[::some])
    sampled: dict[int, DirectoryRecord] = {}
    before: DirectoryRecord | None = None
    for index in range(expected.stored_images):
        record = _next(records)
        if whole:
            continue
        names.add(record.name)
        if index % step == 0:
            sampled[record.offset] = record
        if record.offset in ends:
            sampled[record.offset] = record
            if before is not None:
                sampled[before.offset] = before
        before = record
    if before is not None and ends:
        sampled[before.offset] = before
    reading.check_entries(list(sampled.values()))
    # Text entries lie in the order of the directory, and so are read in one go.
    start = 0 if whole else expected.text_start
    digest = hashlib.sha256() if whole else None
    stream = Stream(reading.pieces(start, expected.directory_start - start), digest)
    if whole:
        records = reading.directory()
    position = start
    for index, record in enumerate(records):
        if record.offset != position:
            raise ArchiveDamaged(f"entry {record.name!r} is not where the directory says")
        names.add(record.name)
        if whole and index < expected.stored_images:
            position += _check_stream(stream, record, None)
        elif read is None:
            position += _check_stream(stream, record, proofreader)
        else:
            position += _entry_size(record)
    if read is not None and _crc32_of(stream.rest()) != read.text_crc32:
        raise ArchiveDamaged("its text is not the one that was built")
    counts = proofreader.counts if read is None else read.counts
    compare(counts, expected.summary.image_count, expected.summary.annotation_count)
    if suspects := names.suspects():
        twins = clash((record.name for record in reading.directory()), suspects)
        if twins is not None:
            raise ArchiveDamaged(f"{twins[0]!r} and {twins[1]!r} are one name for file systems")
    if position != expected.directory_start:
        raise ArchiveDamaged("there are bytes between its entries and its directory")
    if digest is None:
        return None
    for piece in reading.pieces(position, expected.size - position):
        digest.update(piece)
    return digest.hexdigest()


def _next(records: Iterator[DirectoryRecord]) -> DirectoryRecord:
    record = next(records, None)
    if record is None:
        raise ArchiveDamaged("its directory is too short")
    return record


class _Reading:
    """Ranges of the archive; of a small one from memory, where it is held since its size was
    asked for."""

    def __init__(
        self, store: ObjectStore, held: Held, expected: Expected, *, is_small: bool
    ) -> None:
        self.is_small = is_small
        self._store = store
        self._held = held
        self._expected = expected
        self._whole: bytes | None = None

    def size(self) -> int:
        """Bytes that the store has of it, or more than are expected of it; 0: it has none."""
        bucket, key = self._store.exports_bucket, self._expected.key
        if not self.is_small:
            stat = self._store.stat(bucket, key)
            return stat.size if stat else 0
        self._held.check()
        try:
            self._whole = self._store.read_range(bucket, key, 0, self._expected.size + 1)
        except ObjectNotFound:
            return 0
        return len(self._whole)

    def range(self, offset: int, length: int) -> bytes:
        self._held.check()
        if self._whole is not None:
            data = self._whole[offset : offset + length]
        else:
            data = self._store.read_range(
                self._store.exports_bucket, self._expected.key, offset, length
            )
        if len(data) != length:
            raise ArchiveDamaged(f"{length} bytes at {offset} cannot be read")
        return data

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.range(offset, min(_PIECE, length))
            yield piece
            offset += len(piece)
            length -= len(piece)

    def end(self, length: int) -> End:
        """What the last bytes say of the directory."""
        try:
            return read_end(self.range(self._expected.size - length, length))
        except ValueError as error:
            raise ArchiveDamaged(str(error)) from None

    def directory(self) -> Iterator[DirectoryRecord]:
        start = self._expected.directory_start
        count, crc = 0, 0

        def pieces() -> Iterator[bytes]:
            nonlocal crc
            for piece in self.pieces(start, self._expected.size - start):
                crc = crc32(piece, crc)
                yield piece

        try:
            for record in read_directory(pieces()):
                count += 1
                yield record
        except ValueError as error:
            raise ArchiveDamaged(str(error)) from None
        if count != self._expected.entry_count:
            raise ArchiveDamaged(
                f"its directory has {count} entries, not {self._expected.entry_count}"
            )
        read = self._expected.read
        if read is not None and crc != read.directory_crc32:
            raise ArchiveDamaged("its directory is not the one that was built")

    def check_entries(self, records: list[DirectoryRecord]) -> None:
        """Reads entries where the directory says that they lie."""
        small = [record for record in records if _length(record) <= _SAMPLED_AT_ONCE]
        ranges = ((record.offset, _length(record)) for record in small)
        bucket, key = self._store.exports_bucket, self._expected.key
        for record, content in zip(
            small, self._store.read_ranges(bucket, key, ranges), strict=True
        ):
            self._held.check()
            _check_stream(Stream(iter((content,)), None), record, None)
        for record in records:
            if _length(record) > _SAMPLED_AT_ONCE:
                pieces = self.pieces(record.offset, _length(record))
                _check_stream(Stream(pieces, None), record, None)


def _length(record: DirectoryRecord) -> int:
    """Bytes of an entry with its local header."""
    largest = max(record.size, record.compressed_size)
    try:
        return local_header_size(record.name, largest) + record.compressed_size
    except ValueError as error:
        raise ArchiveDamaged(str(error)) from None


class Stream:
    """Bytes taken in any amounts from pieces of any size."""

    def __init__(self, pieces: Iterator[bytes], digest: Any) -> None:
        self._pieces = pieces
        self._digest = digest
        self._piece = b""
        self._position = 0

    def some(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes; none at the end."""
        if self._position == len(self._piece):
            self._piece, self._position = next(self._pieces, b""), 0
        # What is left of the piece stays where it is: many small files share one.
        taken = self._piece[self._position : self._position + limit]
        self._position += len(taken)
        if self._digest is not None:
            self._digest.update(taken)
        return taken

    def exactly(self, length: int) -> bytes:
        """`length` bytes.

        Raises:
            ArchiveDamaged: there are fewer.
        """
        found = bytearray()
        while len(found) < length:
            piece = self.some(length - len(found))
            if not piece:
                raise ArchiveDamaged("it ends within an entry")
            found += piece
        return bytes(found)

    def rest(self) -> Iterator[bytes]:
        """What is left, in pieces."""
        while piece := self.some(_PIECE):
            yield piece


def _crc32_of(pieces: Iterable[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
    return crc


def _entry_size(record: DirectoryRecord) -> int:
    """Bytes that the entry of `record` takes, with its local header."""
    size = max(record.size, record.compressed_size)
    return local_header_size(record.name, size) + record.compressed_size


def _check_stream(stream: Stream, record: DirectoryRecord, proofreader: Proofreader | None) -> int:
    """Reads the entry of `record` from where the stream stands; returns its length."""
    try:
        header, length = read_local_header(stream.exactly)
    except ValueError as error:
        raise ArchiveDamaged(f"entry {record.name!r}: {error}") from None
    if header != (record.name, record.method, record.crc32, record.size, record.compressed_size):
        raise ArchiveDamaged(f"entry {record.name!r} differs from the directory")
    content = _content(stream, record)
    if proofreader is None:
        for _ in content:
            pass
    else:
        proofreader.read(record.name, lines_of(content))
    return length + record.compressed_size


def _content(stream: Stream, record: DirectoryRecord) -> Iterator[bytes]:
    """The content of an entry, which is checked when the iteration is over; never much more of
    it than the directory says that there is."""
    inflate = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS) if record.method else None
    left, size, crc = record.compressed_size, 0, 0
    while left:
        piece = stream.some(left)
        if not piece:
            raise ArchiveDamaged(f"entry {record.name!r} breaks off")
        left -= len(piece)
        while piece:
            plain, piece = (piece, b"") if inflate is None else _inflated(inflate, piece, record)
            crc = crc32(plain, crc)
            size += len(plain)
            if size > record.size:
                raise ArchiveDamaged(f"entry {record.name!r} is longer than the directory says")
            yield plain
    if (size, crc) != (record.size, record.crc32) or (inflate and not inflate.eof):
        raise ArchiveDamaged(f"the content of entry {record.name!r} differs from its CRC-32")


def _inflated(inflate: Any, piece: bytes, record: DirectoryRecord) -> tuple[bytes, bytes]:
    """What some of the piece becomes, and the rest of the piece."""
    try:
        return inflate.decompress(piece, _PIECE), inflate.unconsumed_tail
    except igzip_lib.IsalError as error:  # type: ignore[misc]
        raise ArchiveDamaged(f"entry {record.name!r}: {error}") from None
