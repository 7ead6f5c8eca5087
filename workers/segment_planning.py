"""Cuts the blocks of an export into segments, and stages their manifests.

Images and text are cut apart: images into parts of the archive, by their bytes alone, and text
into as many segments as its own bytes ask for. How they are cut changes no byte of the archive.
"""

from dataclasses import dataclass, replace
from operator import itemgetter

from services.exports.progress import PlannedSegment
from services.formats.common.export import ExportInfo
from services.formats.registry import FORMATS
from services.storage import Extract
from services.work_version import TEXT_APART
from workers.archive.differences import DifferenceCutter
from workers.archive.entries import local_entry_size
from workers.archive.segments import MAX_PARTS, MIN_PART, PartCutter
from workers.budget import LARGE
from workers.earlier_archive import EarlierArchive
from workers.image_entries import image_entry_size
from workers.segment_manifest import (
    BLOCK_IMAGES,
    Block,
    ManifestWriter,
    PlannedImage,
    manifest_key,
)
from workers.staging import Staging

#: Bytes of annotations of a segment of text: half a second of work. Each step costs a hundredth of
#: one in statements and bells.
TEXT_LIMIT = 8 * 1024 * 1024
#: Segments of text that an export has at most, about: memory of the finish grows with them.
_MAX_TEXTS = 5_000
#: Bytes of a deflated manifest that the plan keeps in memory before it stages them.
_MANIFEST_PIECE = 2 * 1024 * 1024


def is_text_alone(version: int, number: int) -> bool:
    """Whether the segment of that number has text alone."""
    return version >= TEXT_APART and number > MAX_PARTS


def is_images_alone(version: int, number: int) -> bool:
    """Whether the segment of that number has images alone."""
    return version >= TEXT_APART and number <= MAX_PARTS


class SegmentPlanner:
    """Takes the blocks of an export in their order, and gives its segments.

    Args:
        staging: where the manifests go.
        stage: what their keys begin with.
        info: the export.
        version: of the work; it says whether images and text are apart.
        image_bytes: of all images together, 0 for an export without them.
        text_bytes: of the annotations of all images together, or more.
        size: bytes of a full part.
        earlier: an archive whose entries may be copied; None: there is none.
    """

    def __init__(
        self,
        staging: Staging,
        stage: str,
        info: ExportInfo,
        version: int,
        *,
        image_bytes: int,
        text_bytes: int,
        size: int,
        earlier: EarlierArchive | None = None,
    ) -> None:
        self._info = info
        self._is_apart = version >= TEXT_APART
        # Images that fill no part are staged, and are no part of any size.
        self._has_parts = image_bytes >= MIN_PART
        self._cutter = PartCutter(image_bytes, size)
        self._text_limit = max(TEXT_LIMIT, -(-text_bytes // _MAX_TEXTS))
        text_numbers = MAX_PARTS + 1 if self._is_apart else 1
        self._texts = _Series(staging, stage, version, text_numbers)
        self._images = _Series(staging, stage, version, 1)
        self._differences: _Differences | None = None
        if earlier is not None and self._is_apart and self._has_parts:
            self._differences = _Differences(self._images, info, earlier, image_bytes, size)

    def add(self, block: Block) -> None:
        """Adds a block, which no segment divides.

        Raises:
            StorageError: as the store says.
        """
        has_images = self._info.include_images
        images = sum(p.image.size for p in block) if has_images else 0
        size = sum(image_entry_size(p, self._info) for p in block) if self._has_parts else 0
        text = sum(len(p.image.annotations) for p in block)
        ends_part = has_images and self._cutter.add(images, len(block))
        if not self._is_apart:
            self._texts.add(block, images + text + 1, size)
            if ends_part or (not self._has_parts and self._texts.text >= self._text_limit):
                self._texts.end()
            return
        if self._differences is not None:
            self._differences.add(block)
        elif has_images:
            self._images.add(block, images + 1, size, with_annotations=False)
            if ends_part:
                self._images.end()
        self._texts.add(block, text + 1)
        if self._texts.text >= self._text_limit:
            self._texts.end()

    def segments(self) -> list[PlannedSegment]:
        """All segments, once every block was added, in the order in which they are to be taken:
        images and text side by side, as fetching the ones and rendering the other use different
        parts of a worker."""
        if self._differences is not None:
            self._differences.end()
        self._images.end()
        self._texts.end()
        series = self._texts.segments, self._images.segments
        shares = [
            (index / len(found), segment) for found in series for index, segment in enumerate(found)
        ]
        return [segment for _, segment in sorted(shares, key=itemgetter(0))]


@dataclass(slots=True)
class _Open:
    """The segment at hand: its manifest, in so many pieces that are staged already, and what is in
    it. `text` and `largest` are bytes of annotations: of all images, and of one."""

    writer: ManifestWriter
    pieces: int = 0
    size: int = 0
    work: int = 0
    text: int = 0
    largest: int = 0


class _Series:
    """Segments of one kind, numbered from `number`."""

    def __init__(self, staging: Staging, stage: str, version: int, number: int) -> None:
        self.segments: list[PlannedSegment] = []
        self._staging = staging
        self._stage = stage
        self._version = version
        self._number = number
        self._open = _Open(ManifestWriter(version))

    @property
    def text(self) -> int:
        """Bytes of annotations of the segment at hand."""
        return self._open.text

    def add(self, block: Block, work: int, size: int = 0, *, with_annotations: bool = True) -> None:
        """Adds a block to the segment at hand, or its images alone."""
        at_hand = self._open
        at_hand.writer.add(block, with_annotations=with_annotations)
        at_hand.work += work
        at_hand.size += size
        if with_annotations:
            lengths = [len(planned.image.annotations) for planned in block]
            at_hand.text += sum(lengths)
            at_hand.largest = max(at_hand.largest, *lengths)
        if at_hand.writer.held_bytes >= _MANIFEST_PIECE:
            self._end_piece(f".{at_hand.pieces}")

    def end(self, source: Extract | None = None) -> None:
        """Ends the segment at hand, if anything is in it; `source`: where its bytes lie already."""
        at_hand = self._open
        if not at_hand.work:
            return
        self._end_piece(f".{at_hand.pieces}" if at_hand.pieces else "")
        largest = at_hand.largest if at_hand.largest > LARGE else 0
        key = manifest_key(f"{self._stage}{self._number}", at_hand.pieces, largest)
        self.segments.append(PlannedSegment(self._number, key, at_hand.size, at_hand.work, source))
        self._number += 1
        self._open = _Open(ManifestWriter(self._version))

    def _end_piece(self, suffix: str) -> None:
        self._staging.put(f"{self._stage}{self._number}{suffix}", [self._open.writer.finish()])
        self._open.writer = ManifestWriter(self._version)
        self._open.pieces += 1


class _Differences:
    """Cuts images where they differ from an earlier archive."""

    def __init__(
        self, series: _Series, info: ExportInfo, earlier: EarlierArchive, total: int, size: int
    ) -> None:
        self._series = series
        self._info = info
        self._image_path = FORMATS[info.format].writer.image_path
        self._earlier = earlier
        self._cutter = DifferenceCutter(self, total, size)
        self._images: Block = []
        self._length = 0

    def add(self, block: Block) -> None:
        """Takes the next images."""
        for planned in block:
            image = planned.image
            path = self._image_path(image, self._info)
            place = self._earlier.place(path, planned.crc32, image.size, self._cutter.expected)
            length = local_entry_size(path, image.size)
            if not self._cutter.is_copying:
                # It may wait for others, and its annotations would lie in memory as long.
                bare = replace(image, annotations=b"")
                planned = PlannedImage(bare, planned.object_key, planned.crc32)
            self._cutter.add(planned, length, image.size, place)
        self._flush()

    def end(self) -> None:
        """Ends the last part."""
        self._cutter.end()

    # As the cutter's parts

    def take(self, image: PlannedImage, length: int) -> None:
        self._images.append(image)
        self._length += length
        if len(self._images) == BLOCK_IMAGES:
            self._flush()

    def end_part(self, copied: tuple[int, int] | None) -> None:
        self._flush()
        self._series.end(self._earlier.extract(*copied) if copied else None)

    def _flush(self) -> None:
        if not self._images:
            return
        work = sum(planned.image.size for planned in self._images) + 1
        self._series.add(self._images, work, self._length, with_annotations=False)
        self._images, self._length = [], 0
