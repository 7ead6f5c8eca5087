"""TIFF and BigTIFF: the first directory. TIFF 6.0, section 2; "BigTIFF Design"."""

from dataclasses import dataclass

from services.catalog.pictures.exif import checked
from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

#: Byte order and whether offsets have 64 bits, by the first bytes.
SIGNATURES = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
#: Offsets and byte counts of strips, and of tiles.
_PIECES = ((273, 279), (324, 325))
#: `struct` letters of the types that sizes and offsets come in: BYTE, SHORT, LONG, LONG8.
_LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MOST_ENTRIES = 4096
#: Strips or tiles that are looked at one by one.
_MOST_PIECES = 4_000_000


#: Bytes of one value of each type.
_SIZES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_IN_PIXELS = "inside its pixels"


@dataclass(frozen=True, slots=True)
class _Entry:
    letter: str
    count: int
    #: Where its values lie.
    place: int


def measure(source: Source) -> Measured:
    """What the first directory says.

    Raises:
        Unreadable: it has no size.
    """
    order, entries, _ = _directory(source)
    width, height = (_first(source, order, entries.get(tag)) for tag in (_WIDTH, _HEIGHT))
    if width is None or height is None:
        raise Unreadable("is a TIFF without a size")
    return Measured(width, height, checked(_first(source, order, entries.get(_ORIENTATION)) or 1))


def check_whole(source: Source) -> None:
    """Sees to it that every strip or tile of the first picture is there, and the whole directory,
    which some write last.

    Raises:
        BreaksOff: something is not.
    """
    order, entries, end = _directory(source)
    if end > source.size:
        raise BreaksOff("inside its header")
    for offsets, counts in _PIECES:
        begins = _values(source, order, entries.get(offsets))
        lengths = _values(source, order, entries.get(counts))
        ends = (begin + length for begin, length in zip(begins, lengths, strict=False))
        if max(ends, default=0) > source.size:
            raise BreaksOff(_IN_PIXELS)


def _directory(source: Source) -> tuple[str, dict[int, _Entry], int]:
    """The byte order, the entries that may be sizes or places, and where the last of the
    directory and its values ends."""
    source.go(0)
    order, is_big = SIGNATURES[source.take(4)]
    offset, count, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    source.go(8 if is_big else 4)
    (start,) = source.unpack(order + offset)
    source.go(start)
    (number,) = source.unpack(order + count)
    if number > _MOST_ENTRIES:
        raise Unreadable("is a TIFF with a damaged directory")
    room = 8 if is_big else 4
    found: dict[int, _Entry] = {}
    end = 0
    for _ in range(number):
        tag, kind, length = source.unpack(order + entry)
        place = source.place
        (elsewhere,) = source.unpack(order + offset)
        size = length * _SIZES.get(kind, 0)
        if size > room:
            place = elsewhere
        end = max(end, place + size)
        if letter := _LETTERS.get(kind):
            found.setdefault(tag, _Entry(letter, length, place))
    # Behind the entries stands where the next directory begins.
    return order, found, max(end, source.place + room)


def _first(source: Source, order: str, entry: _Entry | None) -> int | None:
    if entry is None or not entry.count:
        return None
    source.go(entry.place)
    (value,) = source.unpack(order + entry.letter)
    return int(value)


def _values(source: Source, order: str, entry: _Entry | None) -> tuple[int, ...]:
    if entry is None:
        return ()
    source.go(entry.place)
    return source.unpack(f"{order}{min(entry.count, _MOST_PIECES)}{entry.letter}")
