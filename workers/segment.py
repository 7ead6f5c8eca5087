"""build_segment: from a manifest to a part of the archive and its staged text."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.exports.claims import SegmentClaim
from services.exports.model import archive_key, staging_prefix
from services.formats.common.export import ExportInfo
from services.formats.registry import FORMATS
from services.storage import ObjectNotFound, ObjectStore
from workers.archive.deflate import crc32, crc32_combine
from workers.archive.entries import Entry, Method, local_entry_size, local_header, pack_record
from workers.archive.segments import MIN_PART
from workers.context import WorkerContext
from workers.export_info import VERSION, export_info
from workers.failures import ImageUnusable
from workers.leases import Held
from workers.segment_manifest import Block, PlannedImage, read_blocks
from workers.segment_text import SegmentText
from workers.staging import Staging, StoreStaging, stage_of


def build_segment(context: WorkerContext, held: Held, claim: SegmentClaim) -> dict[str, Any]:
    """Builds one segment; returns what the finish step must know of it.

    Raises:
        ImageUnusable: an image is missing or not what was imported.
        UploadNotFound, StorageError: as the store says.
        ClaimLost: the work is for nothing.
    """
    export = claim.export
    prefix = staging_prefix(export.organization_id, export.export_id)
    info = export_info(export)
    store = context.store

    def blocks() -> Iterator[Block]:
        key = prefix + claim.manifest_key
        return read_blocks(store.stream(store.exports_bucket, key))

    result = build_text(
        held,
        blocks(),
        info,
        StoreStaging(store, prefix),
        stage_of(claim),
    )
    if not info.include_images:
        return result
    images = (planned for block in blocks() for planned in block)
    entries = ImageEntries(store, images, info, held)
    if claim.size < MIN_PART:
        # Too short for a part of its own: finish streams it.
        stage_images(entries, StoreStaging(store, prefix), result)
        return result
    assert export.upload_id is not None
    etag = store.upload_part(
        archive_key(export.organization_id, export.export_id),
        export.upload_id,
        claim.number,
        claim.size,
        entries,
    )
    result["part"] = {
        "number": claim.number,
        "etag": etag,
        "length": entries.length,
        "crc32": entries.crc32,
    }
    _stage_records(entries, StoreStaging(store, prefix), result)
    return result


def build_text(
    held: Held, blocks: Iterable[Block], info: ExportInfo, staging: Staging, stage: str
) -> dict[str, Any]:
    """Renders and stages the text of a segment, under keys that begin with `stage`."""
    text = SegmentText(info, VERSION)
    for block in blocks:
        held.check()
        text.add(block)
    staged, result = text.pieces()
    for key, data in staged.items():
        staging.put(stage + key, data)
    return {**result, "stage": stage}


def stage_images(entries: "ImageEntries", staging: Staging, result: dict[str, Any]) -> None:
    """Stages image entries that make no part of their own."""
    staging.put(f"{result['stage']}images", b"".join(entries))
    result["images"] = {"length": entries.length, "crc32": entries.crc32}
    _stage_records(entries, staging, result)


def _stage_records(entries: "ImageEntries", staging: Staging, result: dict[str, Any]) -> None:
    staging.put(f"{result['stage']}image_records", b"".join(entries.records))


def image_entry_size(planned: PlannedImage, info: ExportInfo) -> int:
    """Bytes of an image's entry, header and all; known before the image is read."""
    path = FORMATS[info.format].writer.image_path(planned.image, info)
    return local_entry_size(path, planned.image.size)


@dataclass(slots=True)
class _Sums:
    length: int = 0
    crc32: int = 0


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
        format_ = FORMATS[self._info.format].writer
        while True:
            self._held.check()
            failing: PlannedImage | None = None
            try:
                chunks = next(contents, None)
                if chunks is None:
                    return
                planned = failing = ahead.popleft()
                size = planned.image.size
                path = format_.image_path(planned.image, self._info)
                entry = Entry(path, planned.crc32, size, size, Method.STORED)
                self.records.append(pack_record(entry, self._sums.length))
                header = local_header(entry)
                self._count(len(header), crc32(header))
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
                    "object store. Import the image again, then create the export again.",
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
            raise ImageUnusable(
                f"The file of image {planned.image.path!r} (id {planned.image.id}) is not the one "
                "that was imported: its size or CRC-32 differs. Import the image again, then "
                "create the export again.",
                planned.image.sha256,
            )
        self._count(size, found)

    def _count(self, length: int, crc: int) -> None:
        self._sums.crc32 = crc32_combine(self._sums.crc32, crc, length)
        self._sums.length += length
