"""Segment manifests: what each segment holds, as the plan froze it.

A manifest is a deflated run of lines, by ISA-L, as nobody compares its bytes. The first is a JSON
object that says its version; then come two for each image: its fields as a JSON array, and its
annotations as they lie in the catalog. An empty line ends a block, the run of images whose rows are
deflated together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter

import orjson
from isal import isal_zlib

from services.catalog.selection import SelectedImage
from services.formats.common.export import ExportImage
from services.formats.common.rows import compact
from workers.lines import lines_of
from workers.versions import check_version

#: A block ends after this many images, this many bytes of images and text, or this many of text.
#: All follow from the snapshot alone, so deflated bytes do not depend on how segments are cut.
BLOCK_IMAGES = 128
BLOCK_BYTES = 4 * 1024 * 1024
BLOCK_TEXT = 1024 * 1024

#: Bytes of lines that are deflated at once, and inflated at once.
_FLUSH = 1024 * 1024
_INFLATED = 128 * 1024
#: What stands in the first line of an image, before its object key and CRC-32.
_FIELDS = tuple(field.name for field in fields(ExportImage) if field.name != "annotations")
_values_of = attrgetter(*_FIELDS)
_all_values_of = attrgetter(*(field.name for field in fields(ExportImage)))
#: Where its annotations stand among the fields of an image.
_PLACE = [field.name for field in fields(ExportImage)].index("annotations")


# Not frozen: one is made for each image, and that would take twice the time.
@dataclass(slots=True)
class PlannedImage:
    """An image of a segment: what formats see, and where its bytes lie."""

    image: ExportImage
    object_key: str
    crc32: int


Block = list[PlannedImage]


def planned_image(selected: SelectedImage) -> PlannedImage:
    """A selected image as a segment holds it."""
    image = ExportImage(*_all_values_of(selected))
    return PlannedImage(image, selected.object_key, selected.crc32)


def blocks(images: Iterable[PlannedImage], include_images: bool) -> Iterator[Block]:
    """Cuts the images of an export into blocks, in order."""
    block: Block = []
    held, text = 0, 0
    for planned in images:
        block.append(planned)
        text += len(planned.image.annotations)
        held += planned.image.size if include_images else 0
        if len(block) == BLOCK_IMAGES or held + text >= BLOCK_BYTES or text >= BLOCK_TEXT:
            yield block
            block, held, text = [], 0, 0
    if block:
        yield block


def manifest_key(base: str, pieces: int, largest: int = 0) -> str:
    """What the record calls a manifest that lies in so many objects.

    `largest`: the bytes of the largest annotations of one image, where they are worth to know.
    """
    key = base if pieces == 1 else f"{base}x{pieces}"
    return f"{key}_{largest}" if largest else key


def largest_of(key: str) -> int:
    """What `manifest_key` was told to be the largest; 0: nothing is."""
    return int(key.partition("_")[2] or 0)


def manifest_objects(key: str) -> list[str]:
    """The objects of a manifest, in order."""
    base, _, pieces = key.partition("_")[0].partition("x")
    return [f"{base}.{number}" for number in range(int(pieces))] if pieces else [base]


class ManifestWriter:
    """Writes one manifest, or a piece of one, in a version of the work; only deflated bytes are
    kept."""

    def __init__(self, version: int) -> None:
        self._stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        self._deflated: list[bytes] = []
        self._plain: list[bytes] = [orjson.dumps({"version": version}), b"\n"]
        self._waiting = 0
        self._held = 0

    def add(self, block: Block, *, with_annotations: bool = True) -> None:
        """Appends a block, or its images alone."""
        for planned in block:
            line = compact((*_values_of(planned.image), planned.object_key, planned.crc32))
            annotations = planned.image.annotations if with_annotations else b""
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
        return b"".join([*self._deflated, self._stream.flush()])

    def _flush(self) -> None:
        body = self._stream.compress(b"".join(self._plain))
        self._deflated.append(body)
        self._held += len(body)
        self._plain, self._waiting = [], 0


def read_blocks(manifest: Iterable[bytes], *, with_annotations: bool = True) -> Iterator[Block]:
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
        annotations = next(lines)
        if not with_annotations:
            annotations = b""
        # An older version may have written fewer fields.
        values.insert(_PLACE, annotations)
        block.append(PlannedImage(ExportImage(*values), object_key, crc32))


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS)
    for chunk in chunks:
        while chunk:
            yield inflate.decompress(chunk, _INFLATED)
            chunk = inflate.unconsumed_tail
