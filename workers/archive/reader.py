"""The reading side of an archive: end record, directory records and local headers.

Source of the layout: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16
and 4.5.3. It reads what this package writes, and refuses the rest, down to the fields that
readers mostly ignore: some do not.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.archive.directory import EXTERNAL_ATTRIBUTES, MADE_BY, end_records
from workers.archive.entries import (
    DOS_DATE,
    DOS_TIME,
    FLAGS,
    LIMIT_16,
    LIMIT_32,
    VERSION_DEFAULT,
    VERSION_ZIP64,
    ZIP64_EXTRA,
)

_END = struct.Struct("<4s4H2IH")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")
_DIRECTORY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")


@dataclass(frozen=True, slots=True)
class DirectoryRecord:
    """An entry as the central directory tells it; sizes and offset in bytes."""

    name: str
    method: int
    crc32: int
    size: int
    compressed_size: int
    offset: int


@dataclass(frozen=True, slots=True)
class End:
    """What closes an archive; sizes and offset in bytes, `size` that of the directory and
    `length` its own."""

    entry_count: int
    size: int
    offset: int
    length: int


def read_end(tail: bytes) -> End:
    """What the last 98 bytes of an archive (or all of it) say of its directory.

    Raises:
        ValueError: there is no end record, or it is malformed.
    """
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise ValueError("it has no end record")
    *_, count, size, offset, _ = _END.unpack(tail[-_END.size :])
    if count == LIMIT_16 or LIMIT_32 in (size, offset) or tail[-42:-38] == b"PK\x06\x07":
        wide = tail[-98:-42]
        if len(wide) < _ZIP64_END.size or wide[:4] != b"PK\x06\x06":
            raise ValueError("it has no ZIP64 end record")
        *_, count, size, offset = _ZIP64_END.unpack(wide)
    written = end_records(count, size, offset)
    if tail[-len(written) :] != written:
        raise ValueError("its end record is malformed")
    return End(count, size, offset, len(written))


def read_directory(pieces: Iterator[bytes]) -> Iterator[DirectoryRecord]:
    """The records of a central directory, from its bytes in pieces of any size.

    Raises:
        ValueError: a record is cut short or malformed.
    """
    waiting = b""
    position = 0
    for piece in pieces:
        waiting, position = waiting[position:] + piece, 0
        while position + 4 <= len(waiting):
            if waiting[position : position + 4] != b"PK\x01\x02":
                return
            record = _record(waiting, position)
            if record is None:
                break
            found, position = record
            yield found
    if position < len(waiting):
        raise ValueError("its directory is cut short")


def _record(data: bytes, position: int) -> tuple[DirectoryRecord, int] | None:
    """The record at `position` and where the next one starts; None: more bytes are needed."""
    if position + _DIRECTORY.size > len(data):
        return None
    fields = _DIRECTORY.unpack_from(data, position)
    method, crc32, compressed_size, size = fields[4], fields[7], fields[8], fields[9]
    name_length, extra_length, comment_length, offset = (
        fields[10],
        fields[11],
        fields[12],
        fields[16],
    )
    start = position + _DIRECTORY.size
    end = start + name_length + extra_length + comment_length
    if end > len(data):
        return None
    name = data[start : start + name_length].decode()
    values = _zip64_values(data[start + name_length : start + name_length + extra_length])
    version = VERSION_ZIP64 if values else VERSION_DEFAULT
    size, compressed_size = _wide(size, values), _wide(compressed_size, values)
    offset = _wide(offset, values)
    if (
        fields[1:4] != (MADE_BY, version, FLAGS)
        or fields[5:7] != (DOS_TIME, DOS_DATE)
        or fields[12:16] != (0, 0, 0, EXTERNAL_ATTRIBUTES)
        or values
    ):
        raise ValueError(f"its directory record of {name!r} is malformed")
    return DirectoryRecord(name, method, crc32, size, compressed_size, offset), end


def read_local_header(
    take: Callable[[int], bytes],
) -> tuple[tuple[str, int, int, int, int], int]:
    """Name, method, CRC-32, size and compressed size of a local header, and its length.

    `take` gives exactly the bytes asked for.

    Raises:
        ValueError: there is no local header, or it is malformed.
    """
    fields = _LOCAL.unpack(take(_LOCAL.size))
    signature, method, crc32, compressed_size, size = (fields[i] for i in (0, 3, 6, 7, 8))
    name_length, extra_length = fields[9], fields[10]
    if signature != b"PK\x03\x04":
        raise ValueError("it has no local header")
    name = take(name_length).decode()
    values = _zip64_values(take(extra_length))
    version = VERSION_ZIP64 if values else VERSION_DEFAULT
    if fields[1:3] != (version, FLAGS) or fields[4:6] != (DOS_TIME, DOS_DATE):
        raise ValueError("its local header is malformed")
    if values:
        # Here both sizes stand in it, even if only one needs it.
        if len(values) != 2 or not size == compressed_size == LIMIT_32:
            raise ValueError("its ZIP64 field is malformed")
        size, compressed_size = values
    length = _LOCAL.size + name_length + extra_length
    return (name, method, crc32, size, compressed_size), length


def _zip64_values(extra: bytes) -> list[int]:
    """The values of the ZIP64 extra field, in order; none where there is no field.

    Raises:
        ValueError: it is something else.
    """
    if not extra:
        return []
    if len(extra) < 12 or len(extra) % 8 != 4:
        raise ValueError("its extra field is malformed")
    if struct.unpack_from("<2H", extra) != (ZIP64_EXTRA, len(extra) - 4):
        raise ValueError("its extra field is malformed")
    return [int(value) for (value,) in struct.iter_unpack("<Q", extra[4:])]


def _wide(value: int, values: list[int]) -> int:
    """A 32-bit field, or the ZIP64 value that stands for it.

    Raises:
        ValueError: it needs a ZIP64 value, and there is none left.
    """
    if value != LIMIT_32:
        return value
    if not values:
        raise ValueError("its ZIP64 field is missing")
    return values.pop(0)
