"""Where one part of an archive ends and the next begins.

A segment of images is one part of a multipart upload, under the limits of S3: at most
10,000 parts, and 5 MiB at least in every part but the last.
"""

import sys
from typing import Final

MIN_PART: Final = 5 * 2**20
PART_SIZE: Final = 16 * 2**20
MAX_PARTS: Final = 10_000
#: Images of a part whose records take as much memory as its builder should have for them.
MANY: Final = 20_000

#: Parts that an archive needs at most when every part is full. What is left of MAX_PARTS is for
#: ends that fill no part.
_FULL_PARTS = MAX_PARTS * 9 // 10


def part_size(total_bytes: int, wanted: int = PART_SIZE) -> int:
    """Bytes of a full part, for an archive of `total_bytes` with text and directory.

    `wanted`, and more where full parts would otherwise take over 90 % of the parts.
    """
    return max(wanted, -(-total_bytes // _FULL_PARTS))


class PartCutter:
    """Decides, run by run of images in the archive's order, after which a part ends.

    `total_image_bytes` is the sum of what `add` will be told. `size` is the bytes of a full part,
    from `part_size`. Raises ValueError for a `size` below `MIN_PART`.
    """

    __slots__ = ("_count", "_held", "_left", "_many", "_size")

    def __init__(self, total_image_bytes: int, size: int) -> None:
        if size < MIN_PART:
            raise ValueError(f"a part has at least {MIN_PART} bytes, not {size}")
        self._size = size
        self._left = total_image_bytes
        self._held = 0
        self._count = 0
        # Where the least parts would be too many, parts are full.
        self._many = MANY if total_image_bytes <= _FULL_PARTS * MIN_PART else sys.maxsize

    def add(self, image_bytes: int, image_count: int) -> bool:
        """Adds the next images; True when the part ends after them: when it is full, or as soon
        as it may where it has MANY images.

        The images after the last True, if any, are the last part. Raises ValueError when images
        hold more than the total that was announced.
        """
        self._left -= image_bytes
        if self._left < 0:
            raise ValueError(
                f"images hold {-self._left} bytes more than the total that was announced"
            )
        self._held += image_bytes
        self._count += image_count
        least = MIN_PART if self._count >= self._many else self._size
        if self._held < least or self._left < MIN_PART:
            return False
        self._held = 0
        self._count = 0
        return True
