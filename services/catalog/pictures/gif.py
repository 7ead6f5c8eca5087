"""GIF: a screen, then blocks. CompuServe, Graphics Interchange Format 89a."""

from services.catalog.pictures.source import BreaksOff, Measured, Source

SIGNATURES = (b"GIF87a", b"GIF89a")

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
#: Bytes of 0 between two blocks that are passed over, as decoders do: some writers end a block
#: twice. More of them are a hole in the file.
_MOST_ZEROS = 16
_IN_PIXELS = "inside its pixels"


def measure(source: Source) -> Measured:
    """The size of the screen."""
    source.go(6)
    return Measured(*source.unpack("<HH"))


def check_whole(source: Source) -> None:
    """Sees to it that the blocks go on to a trailer, or to the end of the file.

    Raises:
        BreaksOff: a block does not end, there is no image, or what follows is no block.
    """
    source.go(10)
    flags, _, _ = source.unpack("<BBB")
    source.go(source.place + _colors(flags))
    images = zeros = 0
    while kind := source.some(1):
        if kind[0] == _TRAILER:
            zeros = 0
            break
        if kind[0] == 0 and zeros < _MOST_ZEROS:
            zeros += 1
            continue
        zeros = 0
        if kind[0] == _IMAGE:
            *_, flags = source.unpack("<HHHHB", _IN_PIXELS)
            # One byte more: the size of a code.
            source.go(source.place + _colors(flags) + 1)
            images += 1
        elif kind[0] == _EXTENSION:
            source.take(1, _IN_PIXELS)
        else:
            raise BreaksOff(_IN_PIXELS if images else "before its pixels")
        while length := source.take(1, _IN_PIXELS)[0]:
            source.go(source.place + length)
    if not images:
        raise BreaksOff("before its pixels")
    if zeros:
        raise BreaksOff(_IN_PIXELS)


def _colors(flags: int) -> int:
    """Bytes of the table of colours that the flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
