"""The local side of a ZIP entry: its header, its length, and its directory record.

Source of the layout: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local file header),
4.4 (fields) and 4.5.3 (ZIP64 extra field). A local entry holds no absolute offset,
so a run of them, a segment, may be built anywhere.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

#: Field values from here on do not fit: they stand in the ZIP64 extra field, and the
#: field itself holds this limit as a sign of it.
LIMIT_16 = 0xFFFF
LIMIT_32 = 0xFFFFFFFF

#: Versions needed to extract, times ten: 2.0 knows deflate, 4.5 knows ZIP64.
VERSION_DEFAULT = 20
VERSION_ZIP64 = 45

#: Bit 11: the name is UTF-8.
FLAGS = 1 << 11

#: 1980-01-01 00:00:00, the earliest time a ZIP can tell: the same bytes whenever built.
DOS_TIME = 0
DOS_DATE = (1 << 5) | 1

ZIP64_EXTRA = 0x0001

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_ZIP64 = struct.Struct("<2H2Q")

#: Name length, method, CRC-32, size, compressed size, offset; the name follows.
_RECORD = struct.Struct("<HBI3Q")


class Method(IntEnum):
    """How the body of an entry is coded."""

    STORED = 0
    DEFLATED = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive; sizes in bytes."""

    name: str
    crc32: int
    size: int
    compressed_size: int
    method: Method


def local_header(entry: Entry) -> bytes:
    """The local file header of an entry; its body follows it directly.

    Raises ValueError for a name that a ZIP cannot hold, and for a STORED entry whose
    two sizes differ.
    """
    if entry.method is Method.STORED and entry.size != entry.compressed_size:
        raise ValueError(f"{entry.name}: a STORED entry has one size, not two")
    name = _encode(entry.name)
    size, compressed_size, extra, version = (
        entry.size,
        entry.compressed_size,
        b"",
        VERSION_DEFAULT,
    )
    if size >= LIMIT_32 or compressed_size >= LIMIT_32:
        # Here the extra field must hold both sizes, even if only one needs it.
        extra = _LOCAL_ZIP64.pack(ZIP64_EXTRA, 16, size, compressed_size)
        size = compressed_size = LIMIT_32
        version = VERSION_ZIP64
    header = _LOCAL_HEADER.pack(
        b"PK\x03\x04",
        version,
        FLAGS,
        entry.method,
        DOS_TIME,
        DOS_DATE,
        entry.crc32,
        compressed_size,
        size,
        len(name),
        len(extra),
    )
    return header + name + extra


def local_header_size(name: str, size: int = 0) -> int:
    """Bytes of the local header of an entry, known before its CRC-32 is.

    `size` is the larger of its two sizes in bytes; it matters only from 4 GiB on.
    """
    zip64 = _LOCAL_ZIP64.size if size >= LIMIT_32 else 0
    return _LOCAL_HEADER.size + len(_encode(name)) + zip64


def local_entry_size(name: str, size: int) -> int:
    """Bytes of a whole STORED entry, header and body, whose file has `size` bytes."""
    return local_header_size(name, size) + size


def pack_record(entry: Entry, offset: int) -> bytes:
    """What the central directory needs to know of an entry, in few bytes.

    `offset` counts from the start of the segment. Records are concatenated freely.
    """
    name = _encode(entry.name)
    return (
        _RECORD.pack(
            len(name), entry.method, entry.crc32, entry.size, entry.compressed_size, offset
        )
        + name
    )


def unpack_records(data: bytes) -> Iterator[tuple[Entry, int]]:
    """The entries of concatenated records, each with its offset in the segment.

    Raises ValueError where the records are cut short.
    """
    for name, method, crc32, size, compressed_size, offset in raw_records(data):
        yield Entry(name.decode(), crc32, size, compressed_size, Method(method)), offset


def raw_records(data: bytes) -> Iterator[tuple[bytes, int, int, int, int, int]]:
    """The plain fields of concatenated records, for loops over very many of them:
    name, method, CRC-32, size, compressed size, offset.

    Raises ValueError where the records are cut short.
    """
    unpack, fixed, end = _RECORD.unpack_from, _RECORD.size, len(data)
    position = 0
    while position < end:
        try:
            length, method, crc32, size, compressed_size, offset = unpack(data, position)
        except struct.error:
            raise ValueError(f"directory records are cut short at byte {end}") from None
        start = position + fixed
        position = start + length
        if position > end:
            raise ValueError(f"directory records are cut short at byte {end}")
        yield data[start:position], method, crc32, size, compressed_size, offset


def _encode(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= LIMIT_16:
        raise ValueError(
            f"{name[:80]!r}: a name in a ZIP has 1 to {LIMIT_16} bytes, this one {len(encoded)}"
        )
    return encoded
