"""Sizes from headers alone: as a decoder displays the picture, for every container and turn."""

import random
import resource
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image, ImageOps

from services.catalog.pictures.measure import (
    MAX_PIXELS,
    BreaksOff,
    Unreadable,
    check_whole,
    is_named_like,
    measure,
)

W, H = 45, 10
_ORIENTATION = 0x0112

#: Container and how Pillow is told to write it.
WRITERS: dict[str, tuple[str, dict[str, object]]] = {
    "jpeg": ("JPEG", {}),
    "jpeg progressive": ("JPEG", {"progressive": True}),
    "mpo": ("MPO", {}),
    "png": ("PNG", {}),
    "png interlaced": ("PNG", {"interlace": 1}),
    "webp": ("WEBP", {}),
    "webp lossless": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "tiff deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bigtiff": ("TIFF", {"big_tiff": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
}
TURNING = [name for name, (kind, _) in WRITERS.items() if kind not in ("GIF", "BMP")]


def written(name: str, orientation: int = 0, size: tuple[int, int] = (W, H)) -> bytes:
    """A picture of noise."""
    kind, options = WRITERS[name]
    pixels = random.Random(7).randbytes(size[0] * size[1] * 3)
    image = Image.frombytes("RGB", size, pixels)
    file = BytesIO()
    if orientation:
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        options = {**options, "exif": exif}
    image.save(file, kind, **options)
    return file.getvalue()


def measured_whole(file: BytesIO) -> None:
    measure(file)
    check_whole(file)


def size_of(data: bytes) -> tuple[int, int]:
    picture = measure(BytesIO(data))
    return picture.width, picture.height


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("name", TURNING)
def test_the_orientation_counts_once(name: str, orientation: int) -> None:
    data = written(name, orientation)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert size_of(data) == upright.size == ((H, W) if orientation >= 5 else (W, H))
    check_whole(BytesIO(data))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("size", [(1, 1), (300, 7), (2, 1025)])
def test_sizes_are_those_of_a_decoder(name: str, size: tuple[int, int]) -> None:
    data = written(name, size=size)
    assert size_of(data) == size
    check_whole(BytesIO(data + b"and bytes after its end"))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize("is_before", [True, False])
def test_exif_of_a_png_counts_before_and_after_the_pixels(is_before: bool) -> None:
    exif = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    pixels = chunk(b"IDAT", zlib.compress(bytes(H * (1 + 3 * W))))
    data = png(W, H, *((exif, pixels) if is_before else (pixels, exif)))
    assert size_of(data) == (H, W)
    assert ImageOps.exif_transpose(Image.open(BytesIO(data))).size == (H, W)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["H", "I"])
def test_an_orientation_may_be_a_short_or_a_long(order: str, kind: str) -> None:
    file = BytesIO()
    Image.new("RGB", (W, H)).save(file, "JPEG")
    plain = file.getvalue()
    value = struct.pack(order + kind, 6).ljust(4, b"\0")
    tag = struct.pack(f"{order}HHI", _ORIENTATION, {"H": 3, "I": 4}[kind], 1) + value
    exif = b"Exif\0\0" + {"<": b"II*\0", ">": b"MM\0*"}[order]
    exif += struct.pack(f"{order}IH", 8, 1) + tag + bytes(4)
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    assert size_of(data) == (H, W)
    assert ImageOps.exif_transpose(Image.open(BytesIO(data))).size == (H, W)


def box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + name + data


def heic(*properties: bytes, brand: bytes = b"heic") -> bytes:
    """A HEIC whose item 1 has these properties, and no pixels to speak of."""
    ipma = struct.pack(">IIHB", 0, 1, 1, len(properties)) + bytes(
        0x80 | index for index in range(1, len(properties) + 1)
    )
    iprp = box(b"ipco", b"".join(properties)) + box(b"ipma", ipma)
    meta = bytes(4) + box(b"pitm", struct.pack(">IH", 0, 1)) + box(b"iprp", iprp)
    return (
        box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
        + box(b"meta", meta)
        + box(b"mdat", bytes(100))
    )


ISPE = box(b"ispe", struct.pack(">III", 0, W, H))


def test_a_heic_is_cropped_and_turned_as_its_properties_say() -> None:
    clap = box(b"clap", struct.pack(">8I", 40, 1, 8, 1, 0, 1, 0, 1))
    assert size_of(heic(ISPE)) == (W, H)
    assert size_of(heic(ISPE, box(b"irot", b"\1"))) == (H, W)
    assert size_of(heic(ISPE, box(b"irot", b"\2"))) == (W, H)
    assert size_of(heic(ISPE, clap, box(b"irot", b"\3"))) == (8, 40)
    check_whole(BytesIO(heic(ISPE)))
    with pytest.raises(BreaksOff):
        check_whole(BytesIO(heic(ISPE)[:-1]))
    with pytest.raises(Unreadable, match="AVIF"):
        measure(BytesIO(heic(ISPE, brand=b"avif")))


@pytest.mark.parametrize("name", WRITERS)
def test_a_picture_that_breaks_off_is_found_wherever_it_does(name: str) -> None:
    data = written(name, 6 if name in TURNING else 0, size=(64, 48))
    for end in range(0, len(data), 1 + len(data) // 200):
        cut = BytesIO(data[:end])
        # The last bytes may only be padding, or the mark of an end that all readers do without.
        if end < len(data) - 4:
            with pytest.raises(Unreadable):
                measured_whole(cut)


def test_a_png_whose_pixels_are_others_is_damaged() -> None:
    """A download that left zeros, with the mark of an end behind them."""
    data = written("png", 0, size=(64, 48))
    middle = data.index(b"IDAT") + 20
    zeros = data[:middle] + bytes(20) + data[middle + 20 :]
    assert measure(BytesIO(zeros)).width == 64
    with pytest.raises(BreaksOff, match="is damaged inside its pixels"):
        check_whole(BytesIO(zeros))


def test_a_webp_whose_length_was_mended_breaks_off_all_the_same() -> None:
    data = written("webp", 0, size=(64, 48))[:-20]
    mended = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    with pytest.raises(BreaksOff):
        check_whole(BytesIO(mended))


@pytest.mark.parametrize("is_big", [False, True])
def test_a_tiff_without_the_end_of_its_directory_breaks_off(is_big: bool) -> None:
    file = BytesIO()
    image = Image.new("RGB", (64, 48))
    image.save(file, "TIFF", compression="tiff_lzw", big_tiff=is_big, dpi=(72, 72))
    data = file.getvalue()
    check_whole(BytesIO(data))
    for cut in range(1, 9):
        with pytest.raises(BreaksOff):
            check_whole(BytesIO(data[:-cut]))


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_a_refusal_and_never_a_surprise(name: str) -> None:
    chance, data = random.Random(name), written(name, 6 if name in TURNING else 0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            # Headers more often than pixels.
            damaged[min(chance.randrange(len(data)), chance.randrange(len(data)))] = (
                chance.randrange(256)
            )
        for look in (measure, check_whole):
            with suppress(Unreadable):
                look(BytesIO(damaged))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is HTML"),
        (b"\n<html lang=en>", "is HTML"),
        (b"<?xml version='1.0'?>", "is XML"),
        (b'{"error": "not found"}', "is text"),
        ("настоящий текст".encode()[:-1], "is text"),
        (b"\xff\xd8", "is no picture that is known"),
        (b"\x89PNG", "is no picture that is known"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (bytes(1000), "nothing but zeros"),
        (b"%PDF-1.7", "is PDF"),
        (b"\x01\x02\x03\x04", "is no picture that is known"),
        (b"\xff\xd8\xff\xd9", "without a frame"),
        (b"\xff\xd8\xff", "breaks off inside its header"),
        (png(0, 5), "of 0 x 5 pixels"),
        (png(60_000, 60_000, chunk(b"IDAT", b"")), "at most"),
        (png(2**31 - 1, 1), "at most"),
        (png(W, H)[:28] + b"\1" + png(W, H)[29:], "damaged header"),
        (b"II*\0\xff\xff\xff\xff", "breaks off"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "breaks off"),
        (b"\xff\xd8\xff" + b"\xe0\0\2\xff" * 30_000, "JPEG"),
        (b"\xff\xd8\xff" + bytes(100_000), "damaged"),
    ],
)
def test_what_is_no_picture_says_what_it_is(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        measure(BytesIO(data))


def test_a_header_costs_nothing_whatever_size_it_names() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    side = int(MAX_PIXELS**0.5)
    assert size_of(png(side, side, chunk(b"IDAT", zlib.compress(b"")))) == (side, side)
    # KiB on Linux, bytes elsewhere: a decoder would take gigabytes of either.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000_000


def test_a_gif_ends_with_its_trailer_or_its_last_block() -> None:
    data = written("gif")
    assert data.endswith(b"\0;")
    for whole in (data, data + b"more", data[:-1], data[:-1] + b"\0\0;"):
        check_whole(BytesIO(whole))
    end = len(data)
    holes = [data[:cut] + bytes(end - cut) for cut in range(end - 300, end - 3)]
    for broken in (*holes, data[:-1] + bytes(3), data[:-1] + bytes(99) + b";", data[:-1] + b"x"):
        with pytest.raises(BreaksOff, match="inside its pixels"):
            check_whole(BytesIO(broken))


def test_extensions_belong_to_containers() -> None:
    names: Callable[[str], list[str]] = lambda extension: [  # noqa: E731
        name
        for name in ("JPEG", "PNG", "GIF", "WebP", "TIFF", "HEIF", "BMP")
        if is_named_like(name, extension)
    ]
    assert [names(extension) for extension in (".jfif", ".tif", ".png", ".txt")] == [
        ["JPEG"], ["TIFF"], ["PNG"], [],
    ]  # fmt: skip
