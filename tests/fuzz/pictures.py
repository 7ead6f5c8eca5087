"""Image headers: pictures of every container with bytes changed, and sizes that are bombs."""

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image

from services.catalog.limits import MAX_SIDE
from services.catalog.pictures.measure import MAX_PIXELS, Unreadable, check_whole, measure
from tests.fuzz.chance import changed

_ORIENTATION = 0x0112
_WRITERS: Sequence[tuple[str, dict[str, Any]]] = (
    *(("JPEG", {}), ("JPEG", {"progressive": True}), ("MPO", {}), ("PNG", {}), ("WEBP", {})),
    *(("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})),
    *(("TIFF", {"big_tiff": True}), ("GIF", {}), ("BMP", {})),
)


@cache
def pictures() -> tuple[bytes, ...]:
    """Small pictures of every container, half of them on their side."""
    return tuple(_pictures())


def _pictures() -> Iterator[bytes]:
    pixels = random.Random(5).randbytes(48 * 32 * 3)
    image = Image.frombytes("RGB", (48, 32), pixels)
    for kind, options in _WRITERS:
        for orientation in (0, 6):
            exif = Image.Exif()
            if orientation:
                exif[_ORIENTATION] = orientation
            file = BytesIO()
            image.save(file, kind, **({} if kind in ("GIF", "BMP") else {"exif": exif}), **options)
            yield file.getvalue()
    frames = BytesIO()
    image.save(frames, "GIF", save_all=True, append_images=[image.rotate(9)])
    yield frames.getvalue()
    yield _heif()
    yield from bombs()


def bombs() -> Iterator[bytes]:
    """Headers of more pixels than any memory holds, in a few bytes."""
    for side in (60_000, 2**31 - 1, 2**32 - 1):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IEND", b"")
        yield (
            b"II*\0\x08\0\0\0\2\0"
            + b"".join(struct.pack("<HHII", tag, 4, 1, side) for tag in (256, 257))
            + bytes(4)
        )
        yield _heif(side)
    yield b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**31 - 1, -(2**31), 1, 24, 0)
    yield b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0\xff\xd9"
    yield b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";"
    yield b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _heif(side: int = 48) -> bytes:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + name + data

    ispe = box(b"ispe", struct.pack(">III", 0, side, side))
    ipma = box(b"ipma", struct.pack(">IIHBB", 0, 1, 1, 1, 0x81))
    meta = bytes(4) + box(b"pitm", struct.pack(">IH", 0, 1))
    meta += box(b"iprp", box(b"ipco", ispe) + ipma)
    return box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + box(b"meta", meta) + box(b"mdat", b"x")


def fuzz(dice: random.Random) -> bytes:
    """Measures one changed picture; a refusal is an answer, anything else a finding.

    Returns:
        The bytes that were looked at.

    Raises:
        AssertionError: a size is none that is taken.
    """
    data = dice.choice(pictures())
    if dice.random() < 0.1:
        # The head of one container before the body of another.
        other = dice.choice(pictures())
        data = data[: dice.randint(0, 64)] + other[dice.randint(0, 64) :]
    data = changed(data, dice)
    with suppress(Unreadable):
        found = measure(BytesIO(data))
        assert 0 < found.width <= MAX_SIDE
        assert 0 < found.height <= MAX_SIDE
        assert found.width * found.height <= MAX_PIXELS
        assert found.orientation in range(1, 9)
    with suppress(Unreadable):
        check_whole(BytesIO(data))
    return data
