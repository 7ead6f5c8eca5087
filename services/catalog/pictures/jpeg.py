"""JPEG: segments, then scans of coded pixels. ITU-T T.81, annex B; EXIF in APP1."""

import re

from services.catalog.pictures.exif import turned
from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

SIGNATURE = b"\xff\xd8\xff"

_APP1, _SOS, _EOI = 0xE1, 0xDA, 0xD9
#: SOF0 to SOF15, without DHT, JPG and DAC among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: TEM and the restarts have no length.
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))
#: More than any camera or editor writes.
_MOST_SEGMENTS = 20_000
#: Bytes before a marker that are none of a segment.
_MOST_STRAY = 1024
_PIECE = 1024 * 1024
#: What may follow in coded pixels beside restarts and stuffed bytes: tables, scans, comments,
#: the end. Anything else is noise that decoders pass over.
_NEXT = re.compile(rb"\xff[\xc4\xcc\xd9-\xdf\xe0-\xef\xfe]")
_IN_PIXELS = "inside its pixels"


def measure(source: Source) -> Measured:
    """What the segments before the first scan say.

    Raises:
        Unreadable: no frame comes before the pixels.
    """
    source.go(2)
    frame: tuple[int, int] | None = None
    exif: bytes | None = None
    for _ in range(_MOST_SEGMENTS):
        marker = _marker(source)
        if marker in _BARE:
            continue
        if marker == _EOI:
            break
        (length,) = source.unpack(">H")
        body = source.place + length - 2
        if marker in _FRAMES and frame is None:
            _, height, width = source.unpack(">BHH")
            frame = width, height
        elif marker == _APP1 and exif is None:
            data = source.take(max(length - 2, 0))
            exif = data if data.startswith(b"Exif\0") else None
        elif marker == _SOS:
            break
        source.go(body)
    if frame is None:
        raise Unreadable("is a JPEG without a frame")
    return turned(*frame, exif)


def check_whole(source: Source) -> None:
    """Sees to it that the picture goes on to its end marker.

    Raises:
        BreaksOff: it does not.
        Unreadable: its segments have no end.
    """
    source.go(2)
    marker = _marker(source)
    for _ in range(_MOST_SEGMENTS):
        if marker == _EOI:
            return
        if marker not in _BARE:
            (length,) = source.unpack(">H", _IN_PIXELS)
            source.go(source.place + length - 2)
        marker = _after_scan(source) if marker == _SOS else _marker(source, _IN_PIXELS)
    raise Unreadable("is a JPEG with damaged segments")


def _marker(source: Source, where: str = "inside its header") -> int:
    """The next marker, over the few fill bytes, or stray ones, that may lie before it."""
    last = 0
    for _ in range(_MOST_STRAY):
        byte = source.take(1, where)[0]
        if last == 0xFF and byte not in (0, 0xFF):
            return byte
        last = byte
    raise Unreadable("is a JPEG with damaged segments")


def _after_scan(source: Source) -> int:
    """The marker that ends a run of coded pixels."""
    last = b""
    while piece := source.some(_PIECE):
        data = last + piece
        if found := _NEXT.search(data):
            source.go(source.place - len(data) + found.end())
            return data[found.end() - 1]
        last = data[-1:]
    raise BreaksOff(_IN_PIXELS)
