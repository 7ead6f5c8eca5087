"""PNG: a row of chunks. W3C PNG, third edition, 5; eXIf may stand before or after the pixels."""

import zlib
from collections.abc import Iterator
from struct import Struct

from services.catalog.pictures.exif import turned
from services.catalog.pictures.source import BreaksOff, Damaged, Measured, Source, Unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: More than 4 GiB in the smallest chunks that encoders write.
_MOST_CHUNKS = 2_000_000
_MOST_EXIF = 1024 * 1024
_HEAD = Struct(">I4s")
_AFTER_LENGTH_AND_NAME = 8
_CRC = 4
_NEEDED = frozenset((b"PLTE", b"IDAT"))
_PIECE = 1024 * 1024
_IN_PIXELS = "inside its pixels"


def measure(source: Source) -> Measured:
    """What IHDR says, turned as eXIf says.

    Raises:
        Unreadable: the first chunk is no IHDR, or is damaged.
    """
    source.go(len(SIGNATURE))
    length, name = source.unpack(">I4s")
    if (length, name) != (13, b"IHDR"):
        raise Unreadable("is a PNG that does not begin with its size")
    header = source.take(13)
    if source.unpack(">I") != (zlib.crc32(name + header),):
        raise Unreadable("is a PNG with a damaged header")
    size = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    exif = None
    for place, length, name in _chunks(source):
        if name == b"eXIf":
            source.go(place)
            exif = source.some(min(length, _MOST_EXIF))
            break
    return turned(*size, exif)


def check_whole(source: Source) -> None:
    """Sees to it that every chunk up to IEND is there, and those that decoders need as they were
    written: what a download left as zeros has another checksum.

    Raises:
        BreaksOff: one is not.
        Damaged: one has another checksum.
    """
    for place, length, name in _chunks(source):
        if name in _NEEDED and not _is_intact(source, place, length, name):
            raise Damaged(_IN_PIXELS)
        if name == b"IEND":
            return
    raise BreaksOff(_IN_PIXELS)


def _is_intact(source: Source, place: int, length: int, name: bytes) -> bool:
    crc = zlib.crc32(name)
    source.go(place)
    while length > 0:
        piece = source.take(min(length, _PIECE))
        crc = zlib.crc32(piece, crc)
        length -= len(piece)
    return source.unpack(">I") == (crc,)


def _chunks(source: Source) -> Iterator[tuple[int, int, bytes]]:
    """Where the content of each whole chunk begins, its length and its name."""
    place = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        head = source.at(place, _AFTER_LENGTH_AND_NAME)
        if len(head) < _AFTER_LENGTH_AND_NAME:
            return
        length, name = _HEAD.unpack(head)
        begin = place + _AFTER_LENGTH_AND_NAME
        place = begin + length + _CRC
        if place > source.size:
            return
        yield begin, length, name
        if name == b"IEND":
            return
