"""PNG of a raster: black and white, one bit a pixel, made without the raster in memory."""

import struct
from zlib import compressobj, crc32

import numpy as np

from services.formats.common.masks import Crop

#: Pixels that are unpacked at a time, about.
_BAND = 1 << 20


def mask_png(crop: Crop) -> bytes:
    """A PNG file of the part's size; set pixels are 1 (https://www.w3.org/TR/png-3/)."""
    header = struct.pack(">IIBBBBB", crop.width, crop.height, 1, 0, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", _rows(crop)),
            _chunk(b"IEND", b""),
        )
    )


def _rows(crop: Crop) -> bytes:
    """The rows, each after the byte that says it is not filtered, deflated."""
    edges = np.cumsum(crop.runs)[:-1]
    compressor = compressobj(1)
    pieces: list[bytes] = []
    height = max(1, _BAND // crop.width)
    for top in range(0, crop.height, height):
        first = top * crop.width
        size = min(height, crop.height - top) * crop.width
        begin, end = np.searchsorted(edges, (first, first + size))
        turns = np.zeros(size, np.uint8)
        # Runs of no pixels end where they begin: two turns in one place are none.
        np.bitwise_xor.at(turns, edges[begin:end] - first, 1)
        pixels = (np.cumsum(turns, dtype=np.int64) + begin) & 1
        bits = np.packbits(pixels.astype(np.uint8).reshape(-1, crop.width), axis=1)
        rows = np.pad(bits, ((0, 0), (1, 0)))
        pieces.append(compressor.compress(rows.tobytes()))
    return b"".join((*pieces, compressor.flush()))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))
