"""Archives in memory, and what their check must expect of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.formats.common.export import ExportImage, ExportInfo
from workers.archive.deflate import crc32
from workers.archive.entries import Entry, Method, local_header, pack_record
from workers.archive_assembly import Assembly
from workers.check import Expected
from workers.finish import read_text
from workers.segment_manifest import BLOCK_IMAGES, PlannedImage
from workers.segment_text import SegmentText
from workers.staging import MemoryStaging


@dataclass(frozen=True)
class InMemory:
    """What the check asks of a store and of a lease."""

    data: bytes
    exports_bucket = "exports"

    @property
    def size(self) -> int:
        """Bytes of the only object."""
        return len(self.data)

    def stat(self, bucket: str, key: str) -> "InMemory":
        """What there is to know of it."""
        return self

    def read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        """A part of it."""
        return self.data[offset : offset + length]

    def read_ranges(
        self, bucket: str, key: str, ranges: Iterable[tuple[int, int]]
    ) -> Iterator[bytes]:
        """Some parts of it."""
        return (self.read_range(bucket, key, offset, length) for offset, length in ranges)

    def check(self) -> None:
        """The lease holds."""


def archive_of(
    export: ExportInfo,
    images: Sequence[ExportImage],
    names: Sequence[str],
    photo: bytes,
    *,
    is_read: bool = False,
) -> tuple[bytes, Expected]:
    """An archive of images that lie under these names, and what its check must expect; `is_read`:
    whoever built the text has read it."""
    staging, text = MemoryStaging(), SegmentText(export)
    planned = [PlannedImage(one, "key", 0) for one in images]
    for start in range(0, len(planned), BLOCK_IMAGES):
        text.add(planned[start : start + BLOCK_IMAGES])
    staged, result = text.pieces()
    body, records = bytearray(), []
    for name in names:
        entry = Entry(name, crc32(photo), len(photo), len(photo), Method.STORED)
        records.append(pack_record(entry, len(body)))
        body += local_header(entry) + photo
    staged |= {"images": [bytes(body)], "image_records": records}
    for key, pieces in staged.items():
        staging.put(f"1-{key}", pieces)
    known = {"length": len(body), "crc32": crc32(bytes(body))}
    assembly = Assembly(export, [{**result, "stage": "1-", "images": known}], staging)
    data = b"".join(assembly)
    expected = Expected(
        key="archive.zip",
        size=len(data),
        text_start=assembly.text_start,
        directory_start=assembly.directory_start,
        entry_count=assembly.entry_count,
        stored_images=len(names),
        summary=assembly.summary,
        info=export,
        read=read_text(assembly, export) if is_read else None,
    )
    return data, expected
