"""Deflated text in fragments that any worker makes and that concatenate.

A fragment is raw deflate (RFC 1951) that ends on a byte boundary and looks back at
nothing before it, so fragments in a row are one stream, and their CRC-32 combine.

What is deflated is a function of the data and of `DEFLATE`, on every thread and in every
process: zlib looks at nothing else. Faster libraries choose their code by the processor, and
ISA-L 1.9.1 also by where the data lies in memory. Of ISA-L come the sums alone, which have one
right value.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from isal.isal_zlib import crc32, crc32_combine

__all__ = [
    "DEFLATE",
    "DEFLATE_END",
    "Fragment",
    "crc32",
    "crc32_combine",
    "deflate",
    "deflated_file",
    "join",
]

#: Ends a stream of fragments: a last block, of fixed codes, with nothing in it.
DEFLATE_END = b"\x03\x00"

_LEVEL = 1
#: Raw deflate, without the zlib header, over the full window.
_RAW = -zlib.MAX_WBITS
#: What deflates, with its version: kept with every snapshot, as another may make other bytes.
DEFLATE = f"zlib {zlib.ZLIB_RUNTIME_VERSION} level {_LEVEL}"
#: Data of up to this many bytes is remembered: separators come again and again.
_SHORT = 64


@dataclass(frozen=True, slots=True)
class Fragment:
    """What is known of deflated data; sizes in bytes."""

    crc32: int
    size: int
    compressed_size: int


def deflate(data: bytes) -> tuple[bytes, Fragment]:
    """A fragment of a stream; the stream is ended by `DEFLATE_END`."""
    if len(data) <= _SHORT:
        return _deflate_short(data)
    return _deflate(data)


def join(fragments: Iterable[Fragment]) -> Fragment:
    """What is known of the fragments in a row, without the bytes of `DEFLATE_END`."""
    crc, size, compressed_size = 0, 0, 0
    for fragment in fragments:
        crc = crc32_combine(crc, fragment.crc32, fragment.size)
        size += fragment.size
        compressed_size += fragment.compressed_size
    return Fragment(crc, size, compressed_size)


def deflated_file(data: bytes) -> tuple[bytes, Fragment]:
    """A complete stream, for a file that is written at once."""
    body = zlib.compress(data, _LEVEL, _RAW)
    return body, Fragment(crc32(data), len(data), len(body))


def _deflate(data: bytes) -> tuple[bytes, Fragment]:
    if not data:
        return b"", Fragment(0, 0, 0)
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    body = stream.compress(data) + stream.flush(zlib.Z_FULL_FLUSH)
    return body, Fragment(crc32(data), len(data), len(body))


_deflate_short = lru_cache(maxsize=256)(_deflate)
