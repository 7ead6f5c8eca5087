"""The central directory: written last, from the records of the segments.

Source of the layout: PKWARE APPNOTE 6.3.10, sections 4.3.12 (central directory
header), 4.3.14 to 4.3.16 (end records) and 4.5.3 (ZIP64 extra field).
"""

from stat import S_IFREG
from struct import Struct

from workers.archive.entries import (
    DOS_DATE,
    DOS_TIME,
    FLAGS,
    LIMIT_16,
    LIMIT_32,
    VERSION_DEFAULT,
    VERSION_ZIP64,
    ZIP64_EXTRA,
    raw_records,
)

#: Host system 3, Unix, so that the attributes below are read as a mode.
MADE_BY = (3 << 8) | VERSION_ZIP64
EXTERNAL_ATTRIBUTES = (S_IFREG | 0o644) << 16

# A header has ten fields that are the same for every entry. They are packed once, in
# three runs: a million headers are written in a second.
_START = Struct("<4s3H")
_HEAD = _START.pack(b"PK\x01\x02", MADE_BY, VERSION_DEFAULT, FLAGS)
_HEAD_ZIP64 = _START.pack(b"PK\x01\x02", MADE_BY, VERSION_ZIP64, FLAGS)
_TIME = Struct("<2H").pack(DOS_TIME, DOS_DATE)
#: No comment, the first disk, no internal attributes.
_ATTRIBUTES = Struct("<3HI").pack(0, 0, 0, EXTERNAL_ATTRIBUTES)
_HEADER = Struct("<10sH4s3I2H10sI")
_EXTRA_HEADER = Struct("<2H")
_EXTRA_VALUE = Struct("<Q")
_ZIP64_END = Struct("<4sQ2H2I4Q")
_ZIP64_LOCATOR = Struct("<4sIQI")
_END = Struct("<4s4H2IH")


class DirectoryWriter:
    """Writes the central directory of an archive piece by piece.

    It keeps only `entry_count` and `size`, the bytes of the directory so far, so an
    archive of any number of entries is finished in flat memory.
    """

    __slots__ = ("entry_count", "size")

    def __init__(self) -> None:
        self.entry_count = 0
        self.size = 0

    def records(self, packed: bytes, base: int) -> bytes:
        """The directory bytes of one segment's packed records.

        `base` is where the segment starts in the archive, in bytes. Raises ValueError
        where the records are cut short.
        """
        pack, pack_wide = _HEADER.pack, _EXTRA_VALUE.pack
        pieces: list[bytes] = []
        for name, method, crc32, size, compressed_size, offset in raw_records(packed):
            offset += base
            # Unlike in the local header, only the values that do not fit, in this order.
            wide = b""
            if size >= LIMIT_32:
                wide, size = pack_wide(size), LIMIT_32
            if compressed_size >= LIMIT_32:
                wide, compressed_size = wide + pack_wide(compressed_size), LIMIT_32
            if offset >= LIMIT_32:
                wide, offset = wide + pack_wide(offset), LIMIT_32
            head, extra = _HEAD, b""
            if wide:
                head, extra = _HEAD_ZIP64, _EXTRA_HEADER.pack(ZIP64_EXTRA, len(wide)) + wide
            header = pack(
                head,
                method,
                _TIME,
                crc32,
                compressed_size,
                size,
                len(name),
                len(extra),
                _ATTRIBUTES,
                offset,
            )
            pieces.append(header + name + extra)
        written = b"".join(pieces)
        self.entry_count += len(pieces)
        self.size += len(written)
        return written

    def end(self, offset: int) -> bytes:
        """The bytes that close the archive, after every record was written.

        `offset` is where the directory starts in the archive, in bytes. The ZIP64 end
        record and its locator come first where a value does not fit the plain one.
        """
        return end_records(self.entry_count, self.size, offset)


def end_records(entry_count: int, size: int, offset: int) -> bytes:
    """What closes an archive whose directory has so many entries and bytes, and starts at
    `offset`."""
    zip64 = b""
    if entry_count >= LIMIT_16 or size >= LIMIT_32 or offset >= LIMIT_32:
        zip64 = _ZIP64_END.pack(
            b"PK\x06\x06",
            # The record's own length, without its signature and this field.
            _ZIP64_END.size - 12,
            MADE_BY,
            VERSION_ZIP64,
            0,
            0,
            entry_count,
            entry_count,
            size,
            offset,
        ) + _ZIP64_LOCATOR.pack(b"PK\x06\x07", 0, offset + size, 1)
    count = min(entry_count, LIMIT_16)
    return zip64 + _END.pack(
        b"PK\x05\x06",
        0,
        0,
        count,
        count,
        min(size, LIMIT_32),
        min(offset, LIMIT_32),
        0,
    )
