"""WebP: chunks in a RIFF. RFC 9649; EXIF stands after the pixels."""

from collections.abc import Iterator

from services.catalog.pictures.exif import turned
from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

_MOST_CHUNKS = 100_000
_MOST_EXIF = 1024 * 1024
_HEAD = 12
_IN_PIXELS = "inside its pixels"


def is_webp(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def measure(source: Source) -> Measured:
    """What the first chunk says, turned as the EXIF chunk says.

    Raises:
        Unreadable: the first chunk is none that has a size.
    """
    size: tuple[int, int] | None = None
    exif = None
    for place, length, name in _chunks(source):
        source.go(place)
        if size is None:
            size = _size(source, name)
            if name != b"VP8X":
                break
        elif name == b"EXIF":
            exif = source.some(min(length, _MOST_EXIF))
            break
    if size is None:
        raise BreaksOff("inside its header")
    return turned(*size, exif)


def check_whole(source: Source) -> None:
    """Sees to it that all of the RIFF is there, and every chunk whole.

    Raises:
        BreaksOff: it is not.
    """
    source.go(4)
    (length,) = source.unpack("<I")
    # The byte that pads an odd chunk is left out by some.
    if length + 8 > source.size + 1:
        raise BreaksOff(_IN_PIXELS)
    # Bytes behind the RIFF are no chunks.
    end = length + 8
    for place, length, _ in _chunks(source):
        if place - 8 < end and place + length > source.size:
            raise BreaksOff(_IN_PIXELS)


def _size(source: Source, name: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        data = source.take(10)
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if name == b"VP8L":
        data = source.take(5)
        bits = int.from_bytes(data[1:5], "little")
        if data[0] == 0x2F:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif name == b"VP8 ":
        data = source.take(10)
        if data[3:6] == b"\x9d\x01\x2a":
            width, height = data[6:8], data[8:10]
            return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(
                height, "little"
            ) & 0x3FFF
    raise Unreadable("is a WebP that does not begin with its size")


def _chunks(source: Source) -> Iterator[tuple[int, int, bytes]]:
    """Where the content of each chunk begins, its length and its name."""
    place = _HEAD
    for _ in range(_MOST_CHUNKS):
        source.go(place)
        head = source.some(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        yield place + 8, length, head[:4]
        place += 8 + length + length % 2
