"""BMP: a header and rows of pixels. Microsoft, "Bitmap storage"."""

from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

SIGNATURE = b"BM"

_CORE = 12
#: Plain rows: BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS.
_PLAIN = (0, 3, 6)


def measure(source: Source) -> Measured:
    """What the header says.

    Raises:
        Unreadable: it is none.
    """
    width, height, *_ = _header(source)
    return Measured(width, height)


def check_whole(source: Source) -> None:
    """Sees to it that every row is there.

    Raises:
        BreaksOff: one is not.
    """
    width, height, bits, compression = _header(source)
    source.go(10)
    (begin,) = source.unpack("<I")
    row = (width * bits + 31) // 32 * 4
    if compression in _PLAIN and begin + row * height > source.size:
        raise BreaksOff("inside its pixels")


def _header(source: Source) -> tuple[int, int, int, int]:
    """Width, height, bits of a pixel, and how they are packed."""
    source.go(14)
    (size,) = source.unpack("<I")
    if size == _CORE:
        width, height, _, bits = source.unpack("<HHHH")
        return width, height, bits, 0
    if not 40 <= size <= 256:
        raise Unreadable("is a BMP with a header that is not known")
    width, height, _, bits, compression = source.unpack("<iiHHI")
    # Rows from the top have a negative height.
    return width, abs(height), bits, compression
