"""Where one segment of an archive ends and the next begins.

A segment that holds images is one part of a multipart upload, under the limits of
S3: at most 10,000 parts, and 5 MiB at least in every part but the last. The plan
knows the bytes of images, not those of deflated text, so only images count towards
a part's length; text in it is welcome on top.
"""

from typing import Final

MIN_PART: Final = 5 * 2**20
PART_SIZE: Final = 16 * 2**20
MAX_PARTS: Final = 10_000

#: Parts that an archive needs at most when every part is full.
_FULL_PARTS = MAX_PARTS * 9 // 10
#: Parts that may be had in addition by cutting early, for the sake of text. What is
#: then left of MAX_PARTS is for ends that fill no part.
_EARLY_PARTS = MAX_PARTS * 9 // 100


def part_size(total_bytes: int, wanted: int = PART_SIZE) -> int:
    """Bytes of a full part, for an archive of `total_bytes` with text and directory.

    `wanted`, and more where full parts would otherwise take over 90 % of the parts.
    """
    return max(wanted, -(-total_bytes // _FULL_PARTS))


class SegmentCutter:
    """Decides, image by image in the archive's order, after which a segment ends.

    `total_image_bytes` is the sum of what `add` will be told, the local entries of
    images; 0 for an export without images. `size` is the bytes of a full part, from
    `part_size`. `text_limit` is how many bytes of annotations a segment should hold
    at most. Raises ValueError for a `size` below `MIN_PART`.
    """

    __slots__ = ("_image_bytes", "_least", "_left", "_size", "_text_bytes", "_text_limit")

    def __init__(self, total_image_bytes: int, size: int, text_limit: int) -> None:
        if size < MIN_PART:
            raise ValueError(f"a part has at least {MIN_PART} bytes, not {size}")
        self._size = size
        self._text_limit = text_limit
        self._left = total_image_bytes
        # Parts that are cut early must not use up the numbers: in a large archive they
        # have to be nearly full.
        parts = total_image_bytes // size + _EARLY_PARTS
        self._least = max(MIN_PART, -(-total_image_bytes // parts)) if total_image_bytes else 0
        self._image_bytes = 0
        self._text_bytes = 0

    def add(self, image_bytes: int, text_bytes: int) -> bool:
        """Adds the next image; True when the segment ends after it.

        The images after the last True, if any, are the last segment. Raises ValueError
        when images hold more than the total that was announced.
        """
        self._left -= image_bytes
        if self._left < 0:
            raise ValueError(
                f"images hold {-self._left} bytes more than the total that was announced"
            )
        self._image_bytes += image_bytes
        self._text_bytes += text_bytes
        if not self._full():
            return False
        self._image_bytes = 0
        self._text_bytes = 0
        return True

    def _full(self) -> bool:
        much_text = self._text_bytes >= self._text_limit
        if not self._least:
            return much_text
        if self._left < MIN_PART:
            return False
        return self._image_bytes >= (self._least if much_text else self._size)
