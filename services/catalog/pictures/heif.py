"""HEIF, such as HEIC: boxes. ISO/IEC 23008-12, 6.5: the primary item's size, cropped and turned.

The turn of the container is what viewers apply; an orientation in EXIF says how the camera was
held, and turns nothing.
"""

from collections.abc import Iterator
from struct import unpack_from

from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF = frozenset((b"avif", b"avis"))
_MOST_META = 16 * 1024 * 1024
_MOST_BOXES = 10_000
#: `irot` counts quarter turns; an odd number swaps the sides.
_TURNED = 6


def is_heif(head: bytes) -> bool:
    """Whether a file that begins so is one; AVIF is not."""
    if head[4:8] != b"ftyp":
        return False
    length = int.from_bytes(head[:4])
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
    return bool(brands & _BRANDS) and not brands & _AVIF


def measure(source: Source) -> Measured:
    """The size of the primary item.

    Raises:
        Unreadable: it has none.
    """
    for place, length, name in _boxes(source):
        if name == b"meta":
            source.go(place)
            data = source.take(min(length, _MOST_META))
            return _primary(data)
    raise Unreadable("is a HEIF without a size")


def check_whole(source: Source) -> None:
    """Sees to it that every box is there.

    Raises:
        BreaksOff: one is not.
    """
    for place, length, _ in _boxes(source):
        if place + length > source.size:
            raise BreaksOff("inside its pixels")


def _boxes(source: Source) -> Iterator[tuple[int, int, bytes]]:
    """Where the content of each outer box begins, its length and its name."""
    place = 0
    for _ in range(_MOST_BOXES):
        source.go(place)
        head = source.some(16)
        if len(head) < 8:
            return
        length, name, begin = int.from_bytes(head[:4]), head[4:8], 8
        if length == 1:
            length, begin = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = source.size - place
        if length < begin:
            return
        yield place + begin, length - begin, name
        place += length


def _inner(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in the content of one: name and content."""
    place = 0
    while place + 8 <= len(data):
        length, name = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if length < 8:
            return
        yield name, data[place + 8 : place + length]
        place += length


def _primary(meta: bytes) -> Measured:
    boxes = dict(_inner(meta[4:]))
    pitm, properties = boxes.get(b"pitm", b""), dict(_inner(boxes.get(b"iprp", b"")))
    (item,) = unpack_from(">I" if pitm[0] else ">H", pitm, 4)
    known = list(_inner(properties.get(b"ipco", b"")))
    size: tuple[int, int] | None = None
    orientation = 1
    for index in _associated(properties.get(b"ipma", b""), item):
        if not 0 < index <= len(known):
            continue
        name, data = known[index - 1]
        if name == b"ispe":
            width, height = unpack_from(">II", data, 4)
            size = width, height
        elif name == b"clap":
            w, w_by, h, h_by = unpack_from(">IIII", data)
            size = w // w_by, h // h_by
        elif name == b"irot" and data[0] % 2:
            orientation = _TURNED
    if size is None:
        raise Unreadable("is a HEIF without a size")
    return Measured(*size, orientation)


def _associated(ipma: bytes, item: int) -> list[int]:
    """The numbers of the properties of an item, in order, from 1."""
    version, flags = ipma[0], ipma[3]
    (count,) = unpack_from(">I", ipma, 4)
    place = 8
    for _ in range(count):
        (found,) = unpack_from(">I" if version else ">H", ipma, place)
        place += 4 if version else 2
        number = ipma[place]
        width = 2 if flags & 1 else 1
        entries = ipma[place + 1 : place + 1 + number * width]
        place += 1 + number * width
        if found == item:
            # The highest bit says that readers must know the property.
            mask = 0x7FFF if width == 2 else 0x7F
            return [
                int.from_bytes(entries[at : at + width]) & mask
                for at in range(0, len(entries), width)
            ]
    return []
