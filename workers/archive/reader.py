"""The reading side of an archive: end record, directory records and local headers.

Source of the layout: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16
and 4.5.3. It reads what this package writes, and refuses the rest.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.archive.entries import LIMIT_16, LIMIT_32, ZIP64_EXTRA

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


def read_end(tail: bytes) -> tuple[int, int]:
    """Entry count and directory offset, from the last 98 bytes of an archive (or all of it).

    Raises:
        ValueError: there is no end record.
    """
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise ValueError("it has no end record")
    *_, count, _, offset, _ = _END.unpack(tail[-_END.size :])
    if count == LIMIT_16 or offset == LIMIT_32 or tail[-42:-38] == b"PK\x06\x07":
        wide = tail[-98:-42]
        if wide[:4] != b"PK\x06\x06":
            raise ValueError("it has no ZIP64 end record")
        *_, count, _, offset = _ZIP64_END.unpack(wide)
    return count, offset


def read_directory(pieces: Iterator[bytes]) -> Iterator[DirectoryRecord]:
    """The records of a central directory, from its bytes in pieces of any size.

    Raises:
        ValueError: a record is cut short.
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
    size, compressed_size = _wide(size, values), _wide(compressed_size, values)
    offset = _wide(offset, values)
    return DirectoryRecord(name, method, crc32, size, compressed_size, offset), end


def read_local_header(
    take: Callable[[int], bytes],
) -> tuple[tuple[str, int, int, int, int], int]:
    """Name, method, CRC-32, size and compressed size of a local header, and its length.

    `take` gives exactly the bytes asked for.

    Raises:
        ValueError: there is no local header.
    """
    fields = _LOCAL.unpack(take(_LOCAL.size))
    signature, method, crc32, compressed_size, size = (fields[i] for i in (0, 3, 6, 7, 8))
    name_length, extra_length = fields[9], fields[10]
    if signature != b"PK\x03\x04":
        raise ValueError("it has no local header")
    name = take(name_length).decode()
    values = _zip64_values(take(extra_length))
    if values:
        # Here both sizes stand in it, even if only one needs it.
        size, compressed_size = values[0], values[1]
    length = _LOCAL.size + name_length + extra_length
    return (name, method, crc32, size, compressed_size), length


def _zip64_values(extra: bytes) -> list[int]:
    """The values of the ZIP64 extra field, in order; none where there is no such field."""
    if len(extra) < 4 or struct.unpack_from("<H", extra)[0] != ZIP64_EXTRA:
        return []
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
