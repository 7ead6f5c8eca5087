"""How large a picture is, as it is displayed: read from its header, never by decoding it.

Whoever needs a size asks here: the import before it sends, and the server when it stores. The
orientation counts once, in every container: EXIF in JPEG, PNG and WebP, the tag of a TIFF, the
turn of a HEIF. What another name than that of its container has is known by its content.
"""

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import error as StructError
from typing import IO

from services.catalog.limits import MAX_SIDE
from services.catalog.pictures import bmp, gif, heif, jpeg, png, tiff, webp
from services.catalog.pictures.source import BreaksOff, Measured, Source, Unreadable

__all__ = ["MEASURE", "BreaksOff", "Picture", "Unreadable", "check_whole", "measure"]

#: Raised whenever a file may get another size than before: what was measured with a lower one
#: is measured again when it comes next. 0: by a decoder, which turned TIFF twice; 1: without
#: orientations that are written as LONG.
MEASURE = 2

#: What OpenCV opens at most, and so most readers, beside `MAX_SIDE`. Masks of as many pixels are
#: counted in 32 bits.
MAX_PIXELS = 2**30
#: A ZIP entry that needs no ZIP64 fields of its own.
MAX_BYTES = 2**32 - 2

_HEAD = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's container and its size in pixels as displayed."""

    #: Such as `JPEG`.
    container: str
    width: int
    height: int
    #: What it was turned by to be displayed, as in EXIF, 1 to 8.
    orientation: int = 1


@dataclass(frozen=True, slots=True)
class _Container:
    name: str
    extensions: tuple[str, ...]
    is_it: Callable[[bytes], bool]
    measure: Callable[[Source], Measured]
    check_whole: Callable[[Source], None]


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


_CONTAINERS = (
    _Container(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        _begins(jpeg.SIGNATURE),
        jpeg.measure,
        jpeg.check_whole,
    ),
    _Container("PNG", (".png",), _begins(png.SIGNATURE), png.measure, png.check_whole),
    _Container("GIF", (".gif",), _begins(*gif.SIGNATURES), gif.measure, gif.check_whole),
    _Container("WebP", (".webp",), webp.is_webp, webp.measure, webp.check_whole),
    _Container(
        "TIFF", (".tif", ".tiff"), _begins(*tiff.SIGNATURES), tiff.measure, tiff.check_whole
    ),
    _Container("HEIF", (".heic", ".heif"), heif.is_heif, heif.measure, heif.check_whole),
    _Container("BMP", (".bmp",), _begins(bmp.SIGNATURE), bmp.measure, bmp.check_whole),
)
#: What other files are, by how they begin, for messages.
_OTHERS = (
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file; run `git lfs pull`"),
)


def measure(file: IO[bytes]) -> Picture:
    """The size of a picture.

    Args:
        file: seekable.

    Raises:
        BreaksOff: the file ends inside the header.
        Unreadable: it is no picture that is read, or is too large.
        OSError: the file cannot be read.
    """
    source = Source(file)
    container = _container(source)
    with _no_surprise(container):
        measured = container.measure(source)
    width, height = measured.displayed
    if min(width, height) < 1:
        raise Unreadable(f"is {container.name} of {width} x {height} pixels")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise Unreadable(
            f"says that it has {width:,} x {height:,} pixels; at most {MAX_SIDE:,} on a side and "
            f"{MAX_PIXELS:,} in all are read"
        )
    return Picture(container.name, width, height, measured.orientation)


def check_whole(file: IO[bytes]) -> None:
    """Sees to it that the file goes on to the end of the picture, by walking over its parts.

    Raises:
        BreaksOff: it does not.
        Unreadable: it is no picture that is read.
        OSError: the file cannot be read.
    """
    source = Source(file)
    container = _container(source)
    with _no_surprise(container):
        container.check_whole(source)


def is_named_like(container: str, extension: str) -> bool:
    """Whether files of a container have this extension, in lower case with its dot."""
    return any(row.name == container and extension in row.extensions for row in _CONTAINERS)


@contextmanager
def _no_surprise(container: _Container) -> Iterator[None]:
    """Whatever a damaged file leads to is a refusal of this file alone."""
    try:
        yield
    except (ArithmeticError, LookupError, ValueError, StructError) as error:
        raise Unreadable(f"is a damaged {container.name}") from error


def _container(source: Source) -> _Container:
    head = source.some(_HEAD)
    for container in _CONTAINERS:
        if container.is_it(head):
            return container
    raise Unreadable(_what_it_is(head))


def _what_it_is(head: bytes) -> str:
    """What a file is that is no picture, after its name."""
    if not head:
        return "is empty"
    for signature, name in _OTHERS:
        if head.startswith(signature):
            return f"is {name}"
    if head[4:8] == b"ftyp":
        return "is AVIF, which is not read" if b"avi" in head[8:32] else "is a film, not a picture"
    if not head.strip(b"\0"):
        return "begins with nothing but zeros"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "is HTML, perhaps the error page of a download"
    if start.startswith(b"<"):
        return "is XML or HTML"
    return "is text" if _is_text(head) else "is no picture that is known"


def _is_text(head: bytes) -> bool:
    if any(byte < 9 for byte in head):
        return False
    try:
        # The last character may go on.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
