"""The orientation in EXIF: a TIFF directory of its own. Exif 2.32, 4.6.4.A and 4.6.2."""

import struct

from services.catalog.pictures.source import Measured

_ORIENTATION = 0x0112
#: `struct` letters of the types that it comes in: SHORT, as it should be, and LONG.
_LETTERS = {3: "H", 4: "I"}
_PREFIX = b"Exif\0"


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8; 1 where there is none, or none that can be read."""
    if exif.startswith(_PREFIX):
        # A zero follows, or a byte that pads.
        exif = exif[len(_PREFIX) + 1 :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", exif, place)
        if tag == _ORIENTATION and kind in _LETTERS:
            (value,) = struct.unpack_from(f"{order}{_LETTERS[kind]}", exif, place + 8)
            return checked(value)
    return 1


def checked(value: int) -> int:
    """An orientation that there is, else 1."""
    return value if 1 <= value <= 8 else 1


def turned(width: int, height: int, exif: bytes | None) -> Measured:
    """A measure with the orientation of EXIF bytes, where there are any."""
    return Measured(width, height, orientation_of(exif) if exif else 1)
