"""The images of an archive: complete STORED entries, streamed from the store."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from services.formats.common.export import ExportInfo
from services.formats.registry import FORMATS
from services.storage import ObjectNotFound, ObjectStore, StorageUnavailable
from workers.archive.deflate import crc32, crc32_combine
from workers.archive.entries import Entry, Method, local_entry_size, local_header, pack_record
from workers.failures import ImageUnusable
from workers.leases import Held
from workers.segment_manifest import Block, PlannedImage


def image_entry_size(planned: PlannedImage, info: ExportInfo) -> int:
    """Bytes of an image's entry, header and all; known before the image is read."""
    path = FORMATS[info.format].writer.image_path(planned.image, info)
    return local_entry_size(path, planned.image.size)


def _entry(planned: PlannedImage, info: ExportInfo) -> Entry:
    size = planned.image.size
    path = FORMATS[info.format].writer.image_path(planned.image, info)
    return Entry(path, planned.crc32, size, size, Method.STORED)


@dataclass(slots=True)
class _Sums:
    length: int = 0
    crc32: int = 0

    def count(self, length: int, crc: int) -> None:
        self.crc32 = crc32_combine(self.crc32, crc, length)
        self.length += length


class KnownSums:
    """Length and CRC-32 of the entries of images, from what was summed at their import: known
    before any of the images is read."""

    def __init__(
        self, blocks: Iterable[Block], info: ExportInfo, records: list[bytes] | None = None
    ) -> None:
        """`records`: takes what the directory must know of each entry."""
        self._sums = _Sums()
        for block in blocks:
            for planned in block:
                entry = _entry(planned, info)
                if records is not None:
                    records.append(pack_record(entry, self._sums.length))
                header = local_header(entry)
                self._sums.count(len(header), crc32(header))
                self._sums.count(planned.image.size, planned.crc32)

    @property
    def length(self) -> int:
        """Of the entries in a row."""
        return self._sums.length

    @property
    def crc32(self) -> int:
        """Of the entries in a row."""
        return self._sums.crc32

    def holding(self, entries: "ImageEntries") -> Iterator[bytes]:
        """The entries, which must turn out to be what was known of them.

        Raises:
            RuntimeError: they are not: an error of our own, which no store is to be blamed for.
        """
        yield from entries
        if (entries.length, entries.crc32) != (self._sums.length, self._sums.crc32):
            raise RuntimeError("the entries of a part are not what was known of them")


class ImageEntries:
    """Complete STORED entries of images, streamed from the store; iterated once.

    `length`, `crc32` and `records` are right when the iteration is over.
    """

    def __init__(
        self,
        store: ObjectStore,
        images: Iterable[PlannedImage],
        info: ExportInfo,
        held: Held,
    ) -> None:
        self._store = store
        self._images = images
        self._info = info
        self._held = held
        self._sums = _Sums()
        self.records: list[bytes] = []

    @property
    def length(self) -> int:
        return self._sums.length

    @property
    def crc32(self) -> int:
        return self._sums.crc32

    def __iter__(self) -> Iterator[bytes]:
        ahead: deque[PlannedImage] = deque()

        def items() -> Iterator[tuple[str, int]]:
            for planned in self._images:
                ahead.append(planned)
                yield planned.object_key, planned.image.size

        contents = self._store.read_many(self._store.images_bucket, items())
        while True:
            self._held.check()
            failing: PlannedImage | None = None
            try:
                chunks = next(contents, None)
                if chunks is None:
                    return
                planned = failing = ahead.popleft()
                entry = _entry(planned, self._info)
                self.records.append(pack_record(entry, self._sums.length))
                header = local_header(entry)
                self._sums.count(len(header), crc32(header))
                yield header
                yield from self._checked(planned, chunks)
            except ObjectNotFound as error:
                unread = failing or (ahead[0] if ahead else None)
                if unread is None or unread.object_key != error.key:
                    # It is the manifest that is gone, and no image is to blame.
                    raise
                missing = unread.image
                raise ImageUnusable(
                    f"The file of image {missing.path!r} (id {missing.id}) is missing from the "
                    "object store. Import the image again, then retry the export.",
                    missing.sha256,
                ) from None

    def _checked(self, planned: PlannedImage, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """An image's bytes, as long as they are those that were imported."""
        size, found = 0, 0
        for chunk in chunks:
            found = crc32(chunk, found)
            size += len(chunk)
            if size > planned.image.size:
                break
            self._held.check()
            yield chunk
        if size != planned.image.size or found != planned.crc32:
            self._blame(planned)
        self._sums.count(size, found)

    def _blame(self, planned: PlannedImage) -> NoReturn:
        """Reads an image once more that was not what was imported.

        Raises:
            StorageUnavailable: now it is: its bytes were damaged on their way.
            ImageUnusable: it is not.
        """
        image, size, found = planned.image, 0, 0
        for chunk in self._store.stream(self._store.images_bucket, planned.object_key):
            self._held.check()
            found = crc32(chunk, found)
            size += len(chunk)
        if (size, found) == (image.size, planned.crc32):
            raise StorageUnavailable(
                f"{planned.object_key} was damaged on its way from the object store"
            )
        raise ImageUnusable(
            f"The file of image {image.path!r} (id {image.id}) is not the one that was imported: "
            "its size or CRC-32 differs. Import the image again, then retry the export.",
            image.sha256,
        )
