"""Segment manifests: what each segment holds, as the plan froze it.

A manifest is a deflated run of lines. The first is a JSON object that says its version; then come
two for each image: its fields as a JSON array, and its annotations as they lie in the catalog.
An empty line ends a block, the run of images whose rows are deflated together.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter

import orjson

from services.catalog.selection import SelectedImage
from services.exports.model import WORK_VERSION
from services.formats.common.export import ExportImage
from workers.archive.deflate import DEFLATE_END, deflate
from workers.lines import lines_of
from workers.versions import check_version

#: A block ends after this many images, or this many bytes of images and text. Both follow
#: from the snapshot alone, so deflated bytes do not depend on how segments are cut.
BLOCK_IMAGES = 128
BLOCK_BYTES = 4 * 1024 * 1024

_FLUSH = 1024 * 1024
#: What stands in the first line of an image, before its object key and CRC-32.
_FIELDS = tuple(field.name for field in fields(ExportImage) if field.name != "annotations")
_values_of = attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """An image of a segment: what formats see, and where its bytes lie."""

    image: ExportImage
    object_key: str
    crc32: int


Block = list[PlannedImage]


def planned_image(selected: SelectedImage) -> PlannedImage:
    """A selected image as a segment holds it."""
    values = dict(zip(_FIELDS, _values_of(selected), strict=True))
    image = ExportImage(**values, annotations=selected.annotations)
    return PlannedImage(image, selected.object_key, selected.crc32)


def blocks(images: Iterable[PlannedImage], include_images: bool) -> Iterator[Block]:
    """Cuts the images of an export into blocks, in order."""
    block: Block = []
    held = 0
    for planned in images:
        block.append(planned)
        held += len(planned.image.annotations) + (planned.image.size if include_images else 0)
        if len(block) == BLOCK_IMAGES or held >= BLOCK_BYTES:
            yield block
            block, held = [], 0
    if block:
        yield block


def manifest_key(base: str, pieces: int) -> str:
    """What the record calls a manifest that lies in so many objects."""
    return base if pieces == 1 else f"{base}x{pieces}"


def manifest_objects(key: str) -> list[str]:
    """The objects of a manifest, in order."""
    base, _, pieces = key.partition("x")
    return [f"{base}.{number}" for number in range(int(pieces))] if pieces else [key]


class ManifestWriter:
    """Writes one manifest, or a piece of one; only deflated bytes are kept."""

    def __init__(self) -> None:
        self._deflated: list[bytes] = []
        self._plain: list[bytes] = [orjson.dumps({"version": WORK_VERSION}), b"\n"]
        self._waiting = 0
        self._held = 0

    def add(self, block: Block) -> None:
        """Appends a block."""
        for planned in block:
            line = orjson.dumps((*_values_of(planned.image), planned.object_key, planned.crc32))
            annotations = planned.image.annotations
            self._plain += (line, b"\n", annotations, b"\n")
            self._waiting += len(line) + len(annotations)
        self._plain.append(b"\n")
        if self._waiting >= _FLUSH:
            self._flush()

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept until `finish` gives them out."""
        return self._held

    def finish(self) -> bytes:
        """The whole manifest."""
        self._flush()
        return b"".join([*self._deflated, DEFLATE_END])

    def _flush(self) -> None:
        body, _ = deflate(b"".join(self._plain))
        self._deflated.append(body)
        self._held += len(body)
        self._plain, self._waiting = [], 0


def read_blocks(manifest: Iterable[bytes]) -> Iterator[Block]:
    """The blocks of a manifest, from its deflated chunks; memory holds one block.

    Raises:
        NewerWork: it is of a version that this worker does not know.
    """
    block: Block = []
    lines = lines_of(_inflated(manifest))
    for line in lines:
        if not line:
            yield block
            block = []
            continue
        if line.startswith(b"{"):
            check_version(orjson.loads(line), "a segment manifest")
            continue
        *values, object_key, crc32 = orjson.loads(line)
        # An older version may have written fewer fields.
        image = ExportImage(**dict(zip(_FIELDS, values, strict=False)), annotations=next(lines))
        block.append(PlannedImage(image, object_key, crc32))


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in chunks:
        while chunk:
            yield inflate.decompress(chunk, _FLUSH)
            chunk = inflate.unconsumed_tail
